"""A job's output: written whole from rows, and left alone when it already is what it would become."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncrun.callbacks.schema import CBEventType
from asyncrun.kinds.context import JobContext
from asyncrun.writers.interface import Writer

Row = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Unfinished:
    """An output that is being written; `whole` says whether it may take its place.

    Its writer is used by one thread at a time: where a job is cancelled, the thread that writes goes on.
    """

    writer: Writer
    whole: bool = False
    _in_use: threading.Lock = field(default_factory=threading.Lock)

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows. Blocks. Raises StorageError."""
        for row in rows:
            with self._in_use:
                self.writer.write(row)

    def commit(self) -> os.stat_result | None:
        """Put it in its place; returns which file it is there. Blocks. Raises OutputError and StorageError."""
        with self._in_use:
            return self.writer.commit()

    def abort(self) -> None:
        """Throw it away, unless it is in its place. Blocks."""
        with self._in_use:
            self.writer.abort()


@dataclass(frozen=True, slots=True)
class Output:
    """Where rows go.

    `path` is None for standard output, `shown` the path as the user knows it, `form` a word for format and columns; `beside` are the files
    that come with it.
    """

    path: Path | None
    shown: str
    form: str
    open_writer: Callable[[], Writer]
    beside: tuple[Path, ...] = ()

    def mark(self, *parts: str) -> str:
        """Return a word for what the output is made from."""
        return hashlib.blake2b("\0".join(("1", self.form, *parts)).encode(), digest_size=16).hexdigest()

    def check(self) -> None:
        """Find out whether the output can be created, before anything is sent. Blocks. Raises OutputError."""
        self.open_writer().abort()

    async def is_current(self, mark: str, context: JobContext) -> bool:
        """Tell whether the file is still the one that was made from what `mark` stands for."""
        path = self.path
        if path is None:
            return False
        return await asyncio.to_thread(lambda: context.ledger.output_is(path, mark) and all(file.exists() for file in self.beside))

    async def write(self, rows: Iterable[Row], mark: str, context: JobContext) -> None:
        """Write the rows in a worker thread, put the file in its place, and remember what it was made from."""
        with context.manager.event(CBEventType.ASYNC_JOB, payload={"name": f"write {self.shown}"}):
            _, placed = await asyncio.to_thread(self._write_rows, rows)
            if self.path is not None:
                await context.ledger.set_output(self.path, mark, placed)

    @asynccontextmanager
    async def writing(self, mark: str, context: JobContext) -> AsyncIterator[Unfinished]:
        """Yield an output to which rows are added as they come; it takes its place at the end, when it is said to be whole.

        Raises OutputError and StorageError.
        """
        with context.manager.event(CBEventType.ASYNC_JOB, payload={"name": f"write {self.shown}"}):
            unfinished = Unfinished(await asyncio.to_thread(self.open_writer))
            try:
                yield unfinished
                if unfinished.whole:
                    placed = await asyncio.to_thread(unfinished.commit)
                    if self.path is not None:
                        await context.ledger.set_output(self.path, mark, placed)
            finally:
                await asyncio.to_thread(unfinished.abort)

    def write_rows(self, rows: Iterable[Row]) -> int:
        """Write the rows, put the file in its place, and return how many there were. Blocks. Raises OutputError and StorageError."""
        count, _ = self._write_rows(rows)
        return count

    def _write_rows(self, rows: Iterable[Row]) -> tuple[int, os.stat_result | None]:
        writer = self.open_writer()
        count = 0
        try:
            for row in rows:
                writer.write(row)
                count += 1
            return count, writer.commit()
        finally:
            writer.abort()
