"""Inserting finished vectors: batches that came together in one statement, which takes the interpreter's lock less often than one each."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.ledger.schema import checksum
from asyncrun.ledger.writer import Write
from asyncrun.records import Space

if TYPE_CHECKING:
    from asyncrun.records import Vectors

MOST_AT_ONCE = 16
"""Rows of one statement, of which SQLite makes a copy."""
_INSERT = "INSERT INTO batches (count, dimensions, keys, keys_sum, vectors, vectors_sum, flags, space) VALUES "
_ROW = "(?, ?, ?, ?, ?, ?, ?, (SELECT id FROM spaces WHERE fingerprint = ?))"


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

    def row(self) -> tuple[object, ...]:
        """Return the values of `_ROW`."""
        blob = self.vectors.reshape(-1).view(np.uint8).data
        return (*self.vectors.shape, self.keys, checksum(self.keys), blob, checksum(blob), self.flags, self.space.fingerprint)


def insert_batches(connection: sqlite3.Connection, batches: Sequence[Batch]) -> None:
    """Insert batches in their order, with their spaces."""
    for space in {batch.space.fingerprint: batch.space for batch in batches}.values():
        add_space(connection, space)
    for start in range(0, len(batches), MOST_AT_ONCE):
        some = batches[start : start + MOST_AT_ONCE]
        statement = _INSERT + ", ".join([_ROW] * len(some))
        last = connection.execute(statement, [value for batch in some for value in batch.row()]).lastrowid or 0
        # The numbers of the rows of one statement follow each other.
        flagged = [(number, batch.flags) for number, batch in enumerate(some, last - len(some) + 1) if any(batch.flags)]
        connection.executemany("INSERT OR REPLACE INTO flagged VALUES (?, ?)", flagged)
    for batch in batches:
        if batch.also is not None:
            batch.also(connection)


def add_space(connection: sqlite3.Connection, space: Space) -> None:
    """Have a row for a space."""
    connection.execute("INSERT OR IGNORE INTO spaces (fingerprint, description) VALUES (?, ?)", (space.fingerprint, space.describe()))
