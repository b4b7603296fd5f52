"""Exact cosine search in memory: a collection's vectors, and all of its chunks in the order in which equal scores come out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

import numpy as np

from asyncrun.stores.sqlite.checksums import MismatchError, garbled, mixed, total
from asyncrun.stores.sqlite.collections import CollectionRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.records import Vectors

    Rows = NDArray[np.intp]
    Scores = NDArray[np.float64]
    Numbers: TypeAlias = NDArray[np.int64]

_SCORES_AT_ONCE = 1 << 24
"""64 MB of float32 scores: how many questions are multiplied together follows from the number of rows."""
_ROWS_AT_ONCE = 1 << 9
"""So few that they stay in the processor's cache, also in float64 and while they are copied and added up: a third faster than 8,192."""


def normalise(vectors: Vectors) -> None:
    """Give every row unit length, in place; a row of zeros stays. Lengths are taken in float64, where no float32 can overflow."""
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        block = vectors[start : start + _ROWS_AT_ONCE]
        wide = block.astype(np.float64)
        lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
        lengths[lengths == 0.0] = 1.0
        block[:] = wide / lengths


def best_rows(units: Vectors, questions: Vectors, counts: Sequence[int], allowed: Rows | None = None) -> Iterator[tuple[Rows, Scores]]:
    """Yield, per question, the best rows with their cosines: at most `counts[i]`, best first, equal scores by row number.

    `units` (n, d) are float32 of unit length, `questions` (m, d) of any length; `allowed` restricts the rows (ascending numbers).
    """
    asked = questions.astype(np.float32)
    normalise(asked)
    narrow = allowed is not None and len(allowed) < len(units) // 4
    rows = units[allowed] if narrow else units
    step = max(1, _SCORES_AT_ONCE // max(1, len(rows)))
    for start in range(0, len(asked), step):
        block = asked[start : start + step]
        # What is multiplied is finite. A kernel of BLAS may compute with more than it was given, and say that this is invalid.
        with np.errstate(invalid="ignore"):
            rough = block @ rows.T
        if allowed is not None and not narrow:
            rough = rough[:, allowed]
        for question, scores, count in zip(block, rough, counts[start : start + step], strict=True):
            candidates = _candidates(scores, count, units.shape[1])
            if allowed is not None:
                candidates = allowed[candidates]
            exact = _exact(units, candidates, question)
            order = np.argsort(-exact, kind="stable")[:count]
            yield candidates[order], exact[order]


def _candidates(scores: NDArray[np.float32], count: int, dimensions: int) -> Rows:
    """Return all rows that may be among the best: a product's float32 sums depend on what else is multiplied, by up to d * 2^-24 each."""
    if count <= 0:
        return np.empty(0, dtype=np.intp)
    if count >= len(scores):
        return np.arange(len(scores))
    cut = np.partition(scores, len(scores) - count)[len(scores) - count]
    return np.flatnonzero(scores >= cut - dimensions * 2.0**-23)


def _exact(units: Vectors, rows: Rows, question: Vectors) -> Scores:
    """Return the cosines of rows, each summed by itself in float64, so that equal vectors have equal scores."""
    wide = question.astype(np.float64)
    parts = [(units[rows[i : i + _ROWS_AT_ONCE]] * wide).sum(axis=1) for i in range(0, len(rows), _ROWS_AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty(0)


_NAMES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class ChunkOrder:
    """The numbers of all chunks with their documents, and the places of the numbers in ascending order."""

    chunks: Numbers
    documents: Numbers
    by_number: NDArray[np.intp]

    def places(self, numbers: Sequence[int]) -> NDArray[np.intp]:
        """Return where chunks stand. Raises MismatchError for one that the collection does not have."""
        wanted = np.array(numbers, dtype=np.int64)
        found = np.searchsorted(self.chunks, wanted, sorter=self.by_number)
        if found.max(initial=-1) < len(self.chunks):
            places: NDArray[np.intp] = self.by_number[found]
            if np.array_equal(self.chunks[places], wanted):
                return places
        raise MismatchError("a chunk that was found does not belong to the collection")

    def chunks_of(self, documents: Numbers) -> frozenset[int]:
        """Return the chunks of some documents."""
        return frozenset(self.chunks[np.isin(self.documents, documents)].tolist())


def read_order(connection: sqlite3.Connection, collection: CollectionRow) -> ChunkOrder:
    """Read which chunks a collection has, and whose. Raises MismatchError when they are not those that were put in."""
    sql = """
        SELECT chunks.id, documents.id, CAST(chunk_id || char(0) || source AS BLOB)
        FROM documents JOIN chunks ON chunks.document = documents.id
        WHERE documents.collection = ? ORDER BY chunks.chunk_id, documents.source"""
    parts: list[tuple[Numbers, Numbers, NDArray[np.uint64]]] = []
    with garbled("a chunk"), closing(connection.execute(sql, (collection.number,))) as cursor:
        while batch := cursor.fetchmany(_NAMES_AT_ONCE):
            chunks, documents, names = zip(*batch, strict=True)
            sums = np.array(list(map(crc32, names)), dtype=np.uint64)
            parts.append((np.array(chunks, dtype=np.int64), np.array(documents, dtype=np.int64), sums))
    if not parts:
        parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint64))]
    all_chunks, all_documents, all_sums = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = ChunkOrder(all_chunks, all_documents, np.argsort(all_chunks))
    if total(mixed(order.chunks.view(np.uint64), order.documents.view(np.uint64), all_sums)) != collection.sums.chunks:
        raise MismatchError(f"the chunks of collection {collection.name!r} do not fit their checksum")
    return order


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
