"""A job's output: written whole from rows, and left alone when it already is what it would become."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncrun.callbacks.schema import CBEventType
from asyncrun.kinds.context import JobContext
from asyncrun.writers.interface import Writer

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Output:
    """Where rows go. `path` is None for standard output, `shown` the path as the user knows it, `form` a word for format and columns."""

    path: Path | None
    shown: str
    form: str
    open_writer: Callable[[], Writer]

    def mark(self, *parts: str) -> str:
        """Return a word for what the output is made from."""
        return hashlib.blake2b("\0".join(("1", self.form, *parts)).encode(), digest_size=16).hexdigest()

    def check(self) -> None:
        """Find out whether the output can be created, before anything is sent. Blocks. Raises OutputError."""
        self.open_writer().abort()

    async def is_current(self, mark: str, context: JobContext) -> bool:
        """Tell whether the file is still the one that was made from what `mark` stands for."""
        return self.path is not None and await asyncio.to_thread(context.ledger.output_is, self.path, mark)

    async def write(self, rows: Iterable[Row], mark: str, context: JobContext) -> None:
        """Write the rows in a worker thread, put the file in its place, and remember what it was made from."""
        with context.manager.event(CBEventType.ASYNC_JOB, payload={"name": f"write {self.shown}"}):
            await asyncio.to_thread(self.write_rows, rows)
            if self.path is not None:
                await context.ledger.set_output(self.path, mark)

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
