"""Batches of finished vectors: inserted, several in one statement, and their keys read without trusting an index."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from asyncrun.ledger.checksums import TableRow, keys_sum, vectors_sum
from asyncrun.ledger.schema import FLOAT_BYTES, newest_id
from asyncrun.records import KEY_BYTES, Space

if TYPE_CHECKING:
    from asyncrun.ledger.group_writer import WriteRows
    from asyncrun.records import Vectors

BATCHES_AT_ONCE = 16
"""Rows of one statement, of which SQLite makes a copy."""
_ADD_SPACE = (
    "INSERT INTO spaces (fingerprint, description) VALUES (?, ?)"
    " ON CONFLICT (fingerprint) DO UPDATE SET description = excluded.description WHERE description = ''"
)
"""Of a space that was found again in a damaged ledger no more than the fingerprint may be known."""
EMPTY = (
    "UPDATE batches SET count = 0, dimensions = 0, keys = x'', vectors = x'', flags = x'', (keys_sum, vectors_sum) = ("
    "SELECT new, vectors_sum(new, 0, x'') FROM (SELECT keys_sum(batches.id,"
    " coalesce((SELECT fingerprint FROM spaces WHERE id = batches.space), ''), 0, x'', x'') AS new)) WHERE id = ? RETURNING id"
)
"""Drops a batch that is damaged, but for its number."""
_INSERT = "INSERT INTO batches (id, count, dimensions, keys, keys_sum, vectors, vectors_sum, flags, space) VALUES "
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM spaces WHERE fingerprint = ?))"


@dataclass(frozen=True, slots=True, eq=False)
class BatchRow:
    """What becomes a row of `batches`.

    Keys are joined, vectors have the shape (count, dimensions), contiguous and little-endian, flags are a byte each. `also` is written in
    the same transaction, after it.
    """

    space: Space
    keys: bytes
    vectors: Vectors
    flags: bytes
    also: WriteRows | None = None

    def row(self, number: int) -> tuple[object, ...]:
        """Return the values of `_ROW` for the batch of this number."""
        count, dimensions = self.vectors.shape
        blob, fingerprint = self.vectors.reshape(-1).view(np.uint8).data, self.space.fingerprint
        told = keys_sum(number, fingerprint, dimensions, self.keys, self.flags)
        return (number, count, dimensions, self.keys, told, blob, vectors_sum(told, count, blob), self.flags, fingerprint)


def insert_batches(connection: sqlite3.Connection, batches: Sequence[BatchRow]) -> None:
    """Insert batches in their order, with their spaces."""
    for space in {batch.space.fingerprint: batch.space for batch in batches}.values():
        add_space(connection, space)
    numbered = list(enumerate(batches, newest_id(connection, "batches") + 1))
    for start in range(0, len(batches), BATCHES_AT_ONCE):
        some = numbered[start : start + BATCHES_AT_ONCE]
        statement = _INSERT + ", ".join([_ROW] * len(some))
        connection.execute(statement, [value for number, batch in some for value in batch.row(number)])
        flagged = [(number, batch.flags) for number, batch in some if any(batch.flags)]
        connection.executemany("INSERT OR REPLACE INTO flagged VALUES (?, ?)", flagged)
    for batch in batches:
        if batch.also is not None:
            batch.also(connection)


def add_space(connection: sqlite3.Connection, space: Space) -> None:
    """Have a row for a space."""
    connection.execute(_ADD_SPACE, (space.fingerprint, space.describe()))


Rows = Callable[[str, tuple[object, ...]], Iterable[tuple[Any, ...]]]
"""Returns the rows of a statement, given with its parameters."""
_KEYS = (
    "SELECT id, dimensions, keys, keys_sum, length(vectors) FROM batches NOT INDEXED"
    " WHERE space IN (SELECT id FROM spaces NOT INDEXED WHERE fingerprint = ?) AND id > ? AND id <= ? ORDER BY id"
)


class BatchKeys(NamedTuple):
    """What is known of a batch without its vectors: `length` of them, in `size` bytes; an empty one was dropped.

    A tuple: it is made for every batch, and a frozen dataclass takes several times as long.
    """

    batch: int
    length: int
    dimensions: int
    keys: bytes
    flags: bytes
    size: int
    whole: bool


def read_keys(rows: Rows, fingerprint: str, since: int, newest: int) -> Iterator[BatchKeys]:
    """Yield the batches of a space with numbers after `since` up to `newest`, in their order. Blocks."""
    flagged: dict[int, Any] = dict(rows("SELECT batch, flags FROM flagged", ()))
    for row in rows(_KEYS, (fingerprint, since, newest)):
        batch, dimensions, keys, _, size = row
        count = len(keys) // KEY_BYTES if isinstance(keys, bytes) else 0
        flags = flagged.get(batch) or bytes(count)
        fits = _fits(row, fingerprint, flags)
        if not fits:
            # What stands in `flagged` is a copy: the batch has its flags behind the vectors, where reading them takes longer.
            [(flags,)] = list(rows("SELECT flags FROM batches WHERE id = ?", (batch,))) or [(b"",)]
            fits = _fits(row, fingerprint, flags)
        yield BatchKeys(batch, count, dimensions, keys, flags, size, fits and size == count * dimensions * FLOAT_BYTES)


def _fits(row: TableRow, fingerprint: str, flags: object) -> bool:
    batch, dimensions, keys, told, _ = row
    return isinstance(keys, bytes) and isinstance(flags, bytes) and told == keys_sum(batch, fingerprint, dimensions, keys, flags)
