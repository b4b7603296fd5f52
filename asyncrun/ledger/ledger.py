"""The ledger: finished vectors by key, failed items by job, and which output was made from what."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from asyncrun.errors import DamagedStateError, SpaceMismatchError
from asyncrun.ledger.batches import EMPTY, BatchRow, insert_batches, read_keys
from asyncrun.ledger.checksums import is_whole, vectors_sum
from asyncrun.ledger.connection import explained, open_connection, open_sound
from asyncrun.ledger.group_writer import GroupWriter, WriteAll, WriteRows
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.ledger.repair import request_repair
from asyncrun.ledger.schema import REPAIRED_BY_A_RUN
from asyncrun.records import KEY_BYTES, Space
from asyncrun.sqlite_files import is_damage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.records import Vectors

T = TypeVar("T")
TRUNCATED = 1
"""The flag of a vector whose text was cut to the model's limit."""
_CACHED_BYTES = 64_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """The vectors of one answered request: `keys[i]` belongs to `vectors[i]`; `flags[i]` is 0 or TRUNCATED."""

    keys: Sequence[bytes]
    vectors: Vectors
    flags: Sequence[int]


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """An index as it was read for a fingerprint and a `since`, from so many batches up to the newest one."""

    asked: tuple[str, int]
    count: int
    newest: int
    index: KeyIndex


class Ledger:
    """What is finished and durable, shared by all jobs of a folder. Reading methods block: call them in a worker thread.

    A row that does not fit its checksum is left out, so that its items are new. With `warn`, which may be called in any thread, it is named
    and removed, and a file that SQLite cannot read is repaired at the next start; without, for those who only look, nothing is changed:
    `left_out` counts such batches, and a file that a start would repair is refused.

    Raises StorageError and DamagedStateError.
    """

    def __init__(self, path: Path, warn: Callable[[str], object] | None = None) -> None:
        self._path = path
        self._warn = warn
        self._writer = GroupWriter(path)
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.RLock()
        self._blobs: OrderedDict[int, Vectors] = OrderedDict()
        self._blob_bytes = 0
        self._dimensions: dict[str, int] = {}
        self._index: _Read | None = None
        self.left_out = 0

    @property
    def folder(self) -> Path:
        """Return the folder of the ledger's file."""
        return self._path.absolute().parent

    def read(self, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Blocks. For the other modules of this package."""
        with self._reading:
            return list(self._rows(statement, parameters))

    def whole_rows(self, table: str, where: str, parameters: tuple[object, ...], *, then: str) -> list[tuple[Any, ...]]:
        """Return whole rows, without the checksum that they end with; others are removed and named, with what comes of it. Blocks."""
        rows = self.read(f"SELECT * FROM {table} WHERE {where}", parameters)
        damaged = [row for row in rows if not is_whole(row)]
        for row in damaged:
            self.drop(f"DELETE FROM {table} WHERE sum IS ?", (row[-1],), f"a row of the ledger's {table}", then)
        return [row[:-1] for row in rows if row not in damaged]

    def drop(self, statement: str, parameters: tuple[object, ...], what: str, then: str) -> None:
        """Name what does not fit its checksum, and run the statement that drops it, unless one only looks. Blocks."""
        if self._warn is not None:
            self._warn(f"{what} does not fit its checksum: it is dropped, and {then}")
            self.read(statement, parameters)

    async def write(self, write: WriteRows) -> None:
        """Return when `write` is committed. For the other modules of this package."""
        await self._writer.write(write)

    async def write_together(self, write: WriteAll[T], thing: T) -> None:
        """Return when `write` is committed for a thing, in one call for all that come one after the other."""
        await self._writer.write_together(write, thing)

    def close(self) -> None:
        """Commit what waits and close the file; may be called twice."""
        self._writer.close()
        with self._reading:
            if self._reader is not None:
                self._reader.close()
            self._reader = None

    def index(self, space: Space, since: int = 0) -> KeyIndex:
        """Return the finished keys of a space; those of batches up to the number `since` are left out."""
        asked = space.fingerprint, since
        with self._reading:
            before = self._index if self._index is not None and self._index.asked == asked else None
            counts = "SELECT count(*), coalesce((SELECT max(id) FROM batches NOT INDEXED), 0), total(id <= ?) FROM batches"
            [(count, newest, still)] = self.read(counts, (0 if before is None else before.newest,))
            if before is None or before.count != still:
                before = self._index = None  # two at once would be the peak of the memory
                index = self._read_index(space.fingerprint, since, newest)
            elif before.newest == newest:
                return before.index
            else:
                index = before.index.joined(self._read_index(space.fingerprint, max(since, before.newest), newest))
            self._index = _Read(asked, count, newest, index)
            return index

    def _read_index(self, fingerprint: str, since: int, newest: int) -> KeyIndex:
        keys, flags, batches, counts = bytearray(), bytearray(), [], []
        damaged: dict[int, int] = {}
        for found in read_keys(self._rows, fingerprint, since, newest):
            if not found.whole or (found.length and self._dimensions.setdefault(fingerprint, found.dimensions) != found.dimensions):
                damaged[found.batch] = found.length
                continue
            keys += found.keys
            flags += found.flags
            batches.append(found.batch)
            counts.append(found.length)
        self._drop(damaged)
        slots = [np.arange(count, dtype=np.int32) for count in counts]
        return KeyIndex(
            keys_array(keys),
            np.repeat(np.array(batches, dtype=np.int64), counts),
            np.concatenate(slots) if slots else np.empty(0, dtype=np.int32),
            np.frombuffer(bytes(flags), dtype=np.uint8),
        )

    def vectors(self, index: KeyIndex, positions: NDArray[np.int64]) -> list[Vectors]:
        """Return the vectors at positions of an index.

        Raises DamagedStateError when a stored row does not fit its checksum; all such rows are gone then, and their items are new.
        """
        batches, slots = index.locate(positions)
        return [self._blob(batch)[slot] for batch, slot in zip(batches.tolist(), slots.tolist(), strict=True)]

    async def put(self, space: Space, finished: Finished, also: WriteRows | None = None) -> None:
        """Store vectors, and with them what `also` writes; returns when they are durable, and until then the vectors must not change.

        No finished key may be given twice in a space. Raises SpaceMismatchError for vectors of another size than those that the space has.
        """
        vectors = np.ascontiguousarray(finished.vectors, dtype="<f4")
        known = self._dimensions.setdefault(space.fingerprint, vectors.shape[1])
        if vectors.shape[1] != known:
            raise other_size(vectors.shape[1], known)
        batch = BatchRow(space, b"".join(finished.keys), vectors, bytes(finished.flags), also)
        await self._writer.write_together(insert_batches, batch)

    def _rows(self, statement: str, parameters: tuple[object, ...]) -> Iterator[tuple[Any, ...]]:
        try:
            if self._reader is None:
                self._reader = open_sound(self._path) if self._warn is None else open_connection(self._path)
                self._writer.check_file()
            yield from self._reader.execute(statement, parameters)
        except sqlite3.DatabaseError as error:
            if self._warn is not None and is_damage(error):
                request_repair(self._path)
            raise explained(error, self._path) from error

    def _blob(self, batch: int) -> Vectors:
        with self._reading:
            if batch in self._blobs:
                self._blobs.move_to_end(batch)
                return self._blobs[batch]
            vectors = self._vectors_of(batch)
            if vectors is None:
                lost = self._drop_damaged()  # 0 where another job of the run has come first
                several = f"{lost} batches, such as batch {batch}, do not fit their checksums"
                raise DamagedStateError(
                    f"the ledger {self._path} is damaged: {several if lost > 1 else f'batch {batch} does not fit its checksums'}",
                    hint=REPAIRED_BY_A_RUN if self._warn is None else "Run the same command again: only those batches are sent again.",
                )
            self._blobs[batch] = vectors
            self._blob_bytes += vectors.nbytes
            while self._blob_bytes > _CACHED_BYTES and len(self._blobs) > 1:
                self._blob_bytes -= self._blobs.popitem(last=False)[1].nbytes
            return vectors

    def _vectors_of(self, batch: int) -> Vectors | None:
        """Return the vectors of a batch, None if they cannot be read as they were written."""
        try:
            row = next(self._rows("SELECT vectors, vectors_sum, count, dimensions, keys_sum FROM batches WHERE id = ?", (batch,)), None)
        except DamagedStateError:
            return None
        if row is None or not isinstance(row[0], bytes) or not row[2] or vectors_sum(row[4], row[2], row[0]) != row[1]:
            return None
        vectors: Vectors = np.frombuffer(row[0], dtype="<f4")
        return vectors.reshape(row[2:4]) if len(vectors) == row[2] * row[3] else None

    def _drop_damaged(self) -> int:
        """Look at every batch, so that one run finds all that is damaged; returns how many were."""
        rows = self.read("SELECT id, length(keys) / ? FROM batches WHERE length(keys) > 0", (KEY_BYTES,))
        damaged = {batch: count for batch, count in rows if self._vectors_of(batch) is None}
        self._drop(damaged)
        return len(damaged)

    def _drop(self, damaged: Mapping[int, int]) -> None:
        """Name and empty batches, each given with how many vectors it had.

        The row stays: its number would be given again, and whoever has an index would take another batch's vectors, or a refresh miss it.
        """
        self.left_out += len(damaged)
        if self._warn is None:
            return
        self._index = None
        for batch, count in damaged.items():
            self._warn(f"batch {batch} of the ledger does not fit its checksum: it is dropped, and its {count} vectors are asked for again")
            # Where its pages cannot even be given back, the whole rows go into a new file at the next start.
            with suppress(DamagedStateError):
                list(self._rows("DELETE FROM flagged WHERE batch = ?", (batch,)))
                if not list(self._rows(EMPTY, (batch,))):
                    request_repair(self._path)  # it stands in the table, and cannot be found by its number


def other_size(now: int, known: int) -> SpaceMismatchError:
    """Return the error for vectors of another size than those that a space has."""
    return SpaceMismatchError(
        f"the vectors now have {now} numbers, those that are finished have {known}: the endpoint serves another model",
        hint="Correct model or base_url, or state `dimensions` or `space`, so that the new vectors get a space of their own.",
    )
