"""A job's output: written whole from rows, and left alone when it already is what it would become."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncrun.callbacks.schema import CBEventType
from asyncrun.kinds.context import JobContext
from asyncrun.writers.interface import Writer

Row = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Unfinished:
    """An output that is being written; `whole` says whether it may take its place."""

    writer: Writer
    whole: bool = False

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows. Blocks. Raises StorageError."""
        for row in rows:
            self.writer.write(row)


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
            await asyncio.to_thread(self.write_rows, rows)
            if self.path is not None:
                await context.ledger.set_output(self.path, mark)

    @asynccontextmanager
    async def writing(self, mark: str, context: JobContext) -> AsyncIterator[Unfinished]:
        """Yield an output to which rows are added as they come; it takes its place at the end, when it is said to be whole.

        Raises OutputError and StorageError.
        """
        with context.manager.event(CBEventType.ASYNC_JOB, payload={"name": f"write {self.shown}"}):
            writer = await asyncio.to_thread(self.open_writer)
            unfinished = Unfinished(writer)
            try:
                yield unfinished
                if unfinished.whole:
                    await asyncio.to_thread(writer.commit)
                    if self.path is not None:
                        await context.ledger.set_output(self.path, mark)
            finally:
                await asyncio.to_thread(writer.abort)

    def write_rows(self, rows: Iterable[Row]) -> int:
        """Write the rows, put the file in its place, and return how many there were. Blocks. Raises OutputError and StorageError."""
        writer = self.open_writer()
        count = 0
        try:
            for row in rows:
                writer.write(row)
                count += 1
            writer.commit()
        finally:
            writer.abort()
        return count
