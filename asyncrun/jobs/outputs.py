"""A job's output: written whole from rows, proved to be those of what is done, and left alone when it already is what it would become."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from asyncrun.callbacks.schema import CBEventType
from asyncrun.errors import DamagedStateError
from asyncrun.jobs.context import JobContext
from asyncrun.ledger.job_records import is_current_output, record_output
from asyncrun.short_help import ShortHelp
from asyncrun.writers.interface import Writer

RowIds = array  # of the type code "q"
"""Ids of items in their order, each as its hash in this process: eight bytes an item, which cost less than reading its line."""


def new_row_ids(hashes: bytes = b"") -> RowIds[int]:
    """Return ids of rows, given the hashes as 8 bytes each.

    >>> ids = new_row_ids()
    >>> ids.append(hash("a"))
    >>> ids == new_row_ids(ids.tobytes())
    True
    """
    return array("q", hashes)


class RowDigest:
    """Ids of rows in their order, as a running hash of their hashes: it takes the same room for any number of rows.

    >>> one, other = RowDigest(), RowDigest()
    >>> one.append(hash("a"))
    >>> len(one), one == other
    (1, False)
    """

    __slots__ = ("_count", "_value")

    def __init__(self) -> None:
        self._count = self._value = 0

    def append(self, row_id: int) -> None:
        """Take in the next id, given as its hash."""
        self._value = hash((self._value, row_id))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RowDigest) and (self._count, self._value) == (other._count, other._value)

    __hash__ = None  # type: ignore[assignment]  # it changes


RowProof: TypeAlias = "RowIds[int] | RowDigest"
"""What rows are compared by; the ids tell which of them is another one."""


def check_rows(shown: str, written: RowProof, done: RowProof) -> None:
    """Raise DamagedStateError unless the rows written are those of the items that are done; `shown` is the output.

    Nothing that is known to happen leads here: it is the last look before a good file is replaced.
    """
    if written == done:
        return
    if len(written) == len(done) and isinstance(written, array) and isinstance(done, array):
        row = next(place for place, (one, other) in enumerate(zip(written, done, strict=True), 1) if one != other)
        words = f"row {row} of {shown} is not that of the item that is done"
    else:
        words = f"{shown} would have {len(written):,} rows, and {len(done):,} items are done"
        words += ", others than these" if len(written) == len(done) else ""
    raise DamagedStateError(
        f"{words}: it is not put in its place", hint="Run the same command again: what is damaged or was dropped is sent again."
    )


Row = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Unfinished:
    """An output that is being written; `done` is None until all rows are, and then the items that must each have one, in their order.

    `mark` stands for what it is made from, which may be known as late as that. Its writer is used by one thread at a time: where a job is
    cancelled, the thread that writes goes on.
    """

    writer: Writer
    shown: str
    mark: str
    done: RowProof | None = None
    _written: RowProof = field(default_factory=new_row_ids)
    _in_use: threading.Lock = field(default_factory=threading.Lock)

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows. Blocks. Raises StorageError."""
        for row in rows:
            with self._in_use:
                self.writer.write(row)
                self._written.append(hash(row["id"]))

    def commit(self, done: RowProof) -> os.stat_result | None:
        """Put it in its place if its rows are those of what is done; returns which file it is there. Blocks. Raises as `write`."""
        with self._in_use:
            check_rows(self.shown, self._written, done)
            return self.writer.commit()

    def abort(self) -> None:
        """Throw it away, unless it is in its place. Blocks."""
        with self._in_use:
            self.writer.abort()


@dataclass(frozen=True, slots=True)
class JobOutput(metaclass=ShortHelp):
    """Where rows go.

    `path` is None for standard output, `shown` the path as the user knows it, `form` a word for format and columns; `beside` are the files
    that come with it.

    >>> import tempfile
    >>> from asyncrun.writers.jsonl import JsonlWriter
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "out.jsonl")
    ...     output = JobOutput(path, "out.jsonl", "jsonl", lambda: JsonlWriter(path))
    ...     output.write_rows([{"id": "a", "n": 1}], new_row_ids(array("q", [hash("a")]).tobytes()))
    ...     print(path.read_text(), end="")
    {"id":"a","n":1}
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
        return await asyncio.to_thread(lambda: is_current_output(context.ledger, path, mark) and all(file.exists() for file in self.beside))

    async def write(self, rows: Iterable[Row], done: RowIds[int], mark: str, context: JobContext) -> None:
        """Write the rows of what is done in a worker thread, put the file in its place, and remember what it was made from.

        Raises DamagedStateError for other rows, OutputError and StorageError; then the former file stays.
        """
        async with self.writing(mark, context) as unfinished:
            await asyncio.to_thread(unfinished.write, rows)
            unfinished.done = done

    @asynccontextmanager
    async def writing(self, mark: str, context: JobContext, proof: Callable[[], RowProof] = new_row_ids) -> AsyncIterator[Unfinished]:
        """Yield an output to which rows are added as they come; it takes its place at the end, when it is said what is done.

        `proof` makes what takes in their ids.

        Raises DamagedStateError when that is not what the rows are of, OutputError and StorageError.
        """
        with context.manager.event(CBEventType.ASYNC_JOB, payload={"name": f"write {self.shown}"}):
            unfinished = Unfinished(await asyncio.to_thread(self.open_writer), self.shown, mark, _written=proof())
            try:
                yield unfinished
                if unfinished.done is not None:
                    placed = await asyncio.to_thread(unfinished.commit, unfinished.done)
                    if self.path is not None:
                        await record_output(context.ledger, self.path, unfinished.mark, placed)
            finally:
                await asyncio.to_thread(unfinished.abort)

    def write_rows(self, rows: Iterable[Row], done: RowProof, proof: Callable[[], RowProof] = new_row_ids) -> None:
        """Write the rows of what is done and put the file in its place; `done` is read after the last row. Blocks. Raises as `write`."""
        unfinished = Unfinished(self.open_writer(), self.shown, "", _written=proof())
        try:
            unfinished.write(rows)
            unfinished.commit(done)
        finally:
            unfinished.abort()
