"""A collection's vectors, read from the SQLite store into memory and ranked by cosine."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from asyncrun.errors import StorageError
from asyncrun.stores.cosine import best_rows, normalise
from asyncrun.stores.sqlite_rows import CollectionRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.records import Vectors

    Numbers: TypeAlias = NDArray[np.int64]

_ROWS_AT_ONCE = 4096
_CHUNKS = "documents JOIN chunks ON chunks.document = documents.id"


@dataclass(frozen=True, slots=True, eq=False)
class VectorTable:
    """A collection's vectors at one revision: row `i` of `units` (n, d), of unit length, belongs to `chunks[i]` of `documents[i]`.

    The rows stand in the order of the chunks' ids, in which equal scores come out.
    """

    revision: str
    units: Vectors
    chunks: Numbers
    documents: Numbers

    def rank(self, questions: Vectors, counts: Sequence[int], documents: Numbers | None) -> list[list[tuple[int, float]]]:
        """Return chunk and cosine of the best `counts[i]` for row `i` of `questions` (m, d); `documents` restricts whose."""
        allowed = None if documents is None else np.flatnonzero(np.isin(self.documents, documents))
        found = best_rows(self.units, questions, counts, allowed)
        return [list(zip(self.chunks[rows].tolist(), scores.tolist(), strict=True)) for rows, scores in found]


def load_vectors(connection: sqlite3.Connection, collection: CollectionRow) -> VectorTable:
    """Read all vectors of a collection. Raises StorageError when one has not the collection's size."""
    sql = f"SELECT chunks.id, documents.id FROM {_CHUNKS} WHERE documents.collection = ? ORDER BY chunks.chunk_id, documents.source"
    numbers = np.array(connection.execute(sql, (collection.number,)).fetchall(), dtype=np.int64).reshape(-1, 2)
    chunks, documents = numbers[:, 0].copy(), numbers[:, 1].copy()
    by_number = np.argsort(chunks)
    # Sorting the numbers alone and placing the vectors after them keeps SQLite from sorting gigabytes.
    units = np.zeros((len(chunks), collection.dimensions), dtype=np.float32)
    sql = f"SELECT chunk, vector FROM {_CHUNKS} JOIN vectors ON vectors.chunk = chunks.id WHERE documents.collection = ?"
    cursor = connection.execute(sql, (collection.number,))
    while batch := cursor.fetchmany(_ROWS_AT_ONCE):
        if any(len(vector) != collection.dimensions * 4 for _, vector in batch):
            raise StorageError("a stored vector has not the size of its collection", hint="Set the store's file aside and ingest again.")
        places = by_number[np.searchsorted(chunks, [chunk for chunk, _ in batch], sorter=by_number)]
        units[places] = np.frombuffer(b"".join(vector for _, vector in batch), dtype="<f4").reshape(len(batch), -1)
    normalise(units)
    return VectorTable(collection.revision, units, chunks, documents)
