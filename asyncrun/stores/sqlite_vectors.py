"""A collection's vectors, read from the SQLite store into memory and ranked by cosine."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from asyncrun.stores.cosine import best_rows, normalise
from asyncrun.stores.sqlite_check import garbled
from asyncrun.stores.sqlite_collections import CollectionRow
from asyncrun.stores.sqlite_order import ChunkOrder
from asyncrun.stores.sqlite_sums import MismatchError, mixed, total

if TYPE_CHECKING:
    from asyncrun.records import Vectors
    from asyncrun.stores.sqlite_order import Numbers

_ROWS_AT_ONCE = 512
"""So few that what is copied, and added up after that, stays in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class VectorTable:
    """A collection's vectors: row `i` of `units` (n, d), of unit length, belongs to `order.chunks[i]`."""

    units: Vectors
    order: ChunkOrder

    def rank(self, questions: Vectors, counts: Sequence[int], documents: Numbers | None) -> list[list[tuple[int, float]]]:
        """Return chunk and cosine of the best `counts[i]` for row `i` of `questions` (m, d); `documents` restricts whose."""
        allowed = None if documents is None else np.flatnonzero(np.isin(self.order.documents, documents))
        found = best_rows(self.units, questions, counts, allowed)
        return [list(zip(self.order.chunks[rows].tolist(), scores.tolist(), strict=True)) for rows, scores in found]


def load_vectors(connection: sqlite3.Connection, collection: CollectionRow, order: ChunkOrder) -> VectorTable:
    """Read all vectors of a collection. Raises MismatchError when they are not those that were put in."""
    # Placing the vectors after the chunks' numbers keeps SQLite from sorting gigabytes.
    units = np.zeros((len(order.chunks), collection.dimensions), dtype=np.float32)
    sums = np.zeros(len(order.chunks), dtype=np.uint64)
    sql = """SELECT chunk, vector FROM documents JOIN chunks ON chunks.document = documents.id JOIN vectors ON vectors.chunk = chunks.id
             WHERE documents.collection = ?"""
    with garbled("a vector"), closing(connection.execute(sql, (collection.number,))) as cursor:
        while batch := cursor.fetchmany(_ROWS_AT_ONCE):
            numbers, vectors = zip(*batch, strict=True)
            places = order.places(numbers)
            units[places] = np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(batch), collection.dimensions)
            sums[places] = list(map(crc32, vectors))
    if total(mixed(order.chunks.view(np.uint64), sums)) != collection.sums.vectors:
        raise MismatchError(f"the vectors of collection {collection.name!r} do not fit their checksum")
    normalise(units)
    return VectorTable(units, order)
