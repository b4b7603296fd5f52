"""The ledger: finished vectors by key, failed items by job, and which output was made from what."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncrun.errors import DamagedStateError, Place, SpaceMismatchError
from asyncrun.ledger.index import KEY_BYTES, KeyIndex, keys_array
from asyncrun.ledger.schema import explained, open_connection
from asyncrun.ledger.writer import GroupWriter
from asyncrun.records import ItemFailure, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.records import Vectors

TRUNCATED = 1
"""The flag of a vector whose text was cut to the model's limit."""
FLOAT_BYTES = 4
_CACHED_BYTES = 64_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """The vectors of one answered request: `keys[i]` belongs to `vectors[i]`; `flags[i]` is 0 or TRUNCATED."""

    keys: Sequence[bytes]
    vectors: Vectors
    flags: Sequence[int]


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """A failure of an earlier run, with the key and the space of the text that failed."""

    failure: ItemFailure
    space: str
    key: bytes


class Ledger:
    """What is finished and durable, shared by all jobs of a folder. Reading methods block: call them in a worker thread.

    Raises StorageError and DamagedStateError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = GroupWriter(path)
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.RLock()
        self._blobs: OrderedDict[int, Vectors] = OrderedDict()
        self._blob_bytes = 0
        self._dimensions: dict[str, int] = {}
        self.dropped = 0
        """Rows whose checksum did not fit: they were left out, their items are new."""

    def index(self, space: Space) -> KeyIndex:
        """Return the finished keys of a space."""
        keys, batches, counts = bytearray(), [], []
        with self._reading:
            rows = self._rows(
                "SELECT b.id, b.keys, b.keys_sum, b.dimensions, length(b.vectors) FROM batches b JOIN spaces s ON s.id = b.space"
                " WHERE s.fingerprint = ? ORDER BY b.id",
                (space.fingerprint,),
            )
            for batch, blob, checksum, dimensions, size in rows:
                known = self._dimensions.setdefault(space.fingerprint, dimensions)
                whole = len(blob) % KEY_BYTES == 0 and size == len(blob) // KEY_BYTES * dimensions * FLOAT_BYTES
                if _checksum(blob) != checksum or not whole or dimensions != known:
                    self.dropped += 1
                    continue
                keys += blob
                batches.append(batch)
                counts.append(len(blob) // KEY_BYTES)
        slots = [np.arange(count, dtype=np.int32) for count in counts]
        return KeyIndex(
            keys_array(keys),
            np.repeat(np.array(batches, dtype=np.int64), counts),
            np.concatenate(slots) if slots else np.empty(0, dtype=np.int32),
        )

    def vectors(self, index: KeyIndex, positions: NDArray[np.int64]) -> list[Vectors]:
        """Return the vectors at positions of an index.

        Raises DamagedStateError when a stored row does not fit its checksum; the row is gone then, and its items are new.
        """
        batches, slots = index.locate(positions)
        return [self._blob(batch)[slot] for batch, slot in zip(batches.tolist(), slots.tolist(), strict=True)]

    async def put(self, space: Space, finished: Finished) -> None:
        """Store vectors; returns when they are durable. No finished key may be given twice within a space.

        Raises SpaceMismatchError for vectors of another size than those that the space has.
        """
        keys = b"".join(finished.keys)
        vectors = np.ascontiguousarray(finished.vectors, dtype="<f4")
        count, dimensions = vectors.shape
        known = self._dimensions.setdefault(space.fingerprint, dimensions)
        if dimensions != known:
            raise SpaceMismatchError(
                f"the vectors now have {dimensions} numbers, those that are finished have {known}: the endpoint serves another model",
                hint="Correct model or base_url, or state `dimensions` or `space`, so that the new vectors get a space of their own.",
            )
        blob = vectors.tobytes()
        row = (count, dimensions, keys, _checksum(keys), blob, _checksum(blob), bytes(finished.flags))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR IGNORE INTO spaces (fingerprint, description) VALUES (?, ?)", (space.fingerprint, space.describe())
            )
            connection.execute(
                "INSERT INTO batches (space, count, dimensions, keys, keys_sum, vectors, vectors_sum, flags)"
                " SELECT id, ?, ?, ?, ?, ?, ?, ? FROM spaces WHERE fingerprint = ?",
                (*row, space.fingerprint),
            )

        await self._writer.write(write)

    def failures(self, job: str) -> dict[str, KnownFailure]:
        """Return the failed items of a job by item id."""
        with self._reading:
            rows = list(
                self._rows(
                    "SELECT item, file, line, reason, message, attempts, space, key FROM failures WHERE job = ? ORDER BY file, line, item",
                    (job,),
                )
            )
        return {
            item: KnownFailure(ItemFailure(item, Place(file, line), reason, message, attempts), space, key)
            for item, file, line, reason, message, attempts, space, key in rows
        }

    async def set_failures(self, job: str, failures: Iterable[KnownFailure]) -> None:
        """Put the failures of a job in the place of its former ones."""
        rows = [
            (job, f.id, known.space, known.key, f.place.file, f.place.line, f.reason, f.message, f.attempts)
            for known in failures
            for f in (known.failure,)
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM failures WHERE job = ?", (job,))
            connection.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

        await self._writer.write(write)

    def output_is(self, path: Path, mark: str) -> bool:
        """Tell whether the file at `path` is still the one that was made from what `mark` stands for."""
        with self._reading:
            row = next(self._rows("SELECT mark, size, modified FROM outputs WHERE path = ?", (str(path),)), None)
        try:
            found = path.stat()
        except OSError:
            return False
        return row is not None and row == (mark, found.st_size, found.st_mtime_ns)

    async def set_output(self, path: Path, mark: str) -> None:
        """Remember what the file at `path` was made from."""

        def write(connection: sqlite3.Connection) -> None:
            found = path.stat()
            connection.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?)", (str(path), mark, found.st_size, found.st_mtime_ns))

        await self._writer.write(write)

    def close(self) -> None:
        """Commit what waits and close the file; may be called twice."""
        self._writer.close()
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _rows(self, statement: str, parameters: tuple[object, ...]) -> Iterator[tuple[Any, ...]]:
        try:
            if self._reader is None:
                self._reader = open_connection(self._path)
            yield from self._reader.execute(statement, parameters)
        except sqlite3.DatabaseError as error:
            raise explained(error, self._path) from error

    def _blob(self, batch: int) -> Vectors:
        with self._reading:
            if batch in self._blobs:
                self._blobs.move_to_end(batch)
                return self._blobs[batch]
            row = next(self._rows("SELECT vectors, vectors_sum, dimensions FROM batches WHERE id = ?", (batch,)), None)
            if row is None or _checksum(row[0]) != row[1]:
                list(self._rows("DELETE FROM batches WHERE id = ?", (batch,)))
                raise DamagedStateError(
                    f"the ledger {self._path} is damaged: the vectors of batch {batch} do not fit their checksum and were dropped",
                    hint="Run the same command again: only that batch is sent again.",
                )
            vectors: Vectors = np.frombuffer(row[0], dtype="<f4").reshape(-1, row[2])
            self._blobs[batch] = vectors
            self._blob_bytes += vectors.nbytes
            while self._blob_bytes > _CACHED_BYTES and len(self._blobs) > 1:
                self._blob_bytes -= self._blobs.popitem(last=False)[1].nbytes
            return vectors


def _checksum(blob: bytes) -> bytes:
    # SQLite's own integrity check sees neither a flipped byte in the log nor zeros inside a blob, so each blob carries its own.
    return hashlib.blake2b(blob, digest_size=8).digest()
