"""Inserting finished vectors: batches that came together in one statement, which takes the interpreter's lock less often than one each."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.ledger.schema import newest_id
from asyncrun.ledger.sums import keys_sum, vectors_sum
from asyncrun.ledger.writer import Write
from asyncrun.records import Space

if TYPE_CHECKING:
    from asyncrun.records import Vectors

MOST_AT_ONCE = 16
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
class Batch:
    """What becomes a row of `batches`.

    Keys are joined, vectors have the shape (count, dimensions), contiguous and little-endian, flags are a byte each. `also` is written in
    the same transaction, after it.
    """

    space: Space
    keys: bytes
    vectors: Vectors
    flags: bytes
    also: Write | None = None

    def row(self, number: int) -> tuple[object, ...]:
        """Return the values of `_ROW` for the batch of this number."""
        count, dimensions = self.vectors.shape
        blob, fingerprint = self.vectors.reshape(-1).view(np.uint8).data, self.space.fingerprint
        told = keys_sum(number, fingerprint, dimensions, self.keys, self.flags)
        return (number, count, dimensions, self.keys, told, blob, vectors_sum(told, count, blob), self.flags, fingerprint)


def insert_batches(connection: sqlite3.Connection, batches: Sequence[Batch]) -> None:
    """Insert batches in their order, with their spaces."""
    for space in {batch.space.fingerprint: batch.space for batch in batches}.values():
        add_space(connection, space)
    numbered = list(enumerate(batches, newest_id(connection, "batches") + 1))
    for start in range(0, len(batches), MOST_AT_ONCE):
        some = numbered[start : start + MOST_AT_ONCE]
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
