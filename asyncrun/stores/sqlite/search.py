"""How the SQLite store searches: rankings by cosine and by words, their fusion, and the hits behind them."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from asyncrun.errors import SpaceMismatchError
from asyncrun.grammar.filter import Filter
from asyncrun.records import Hit
from asyncrun.stores.fusion import fuse, fusion_depth
from asyncrun.stores.interface import SearchRequest
from asyncrun.stores.sqlite.collections import CollectionRow, check_words
from asyncrun.stores.sqlite.filter_sql import compile_filter
from asyncrun.stores.sqlite.proof import passing_documents, read_chunks

if TYPE_CHECKING:
    from asyncrun.records import Vectors
    from asyncrun.stores.sqlite.vectors import ChunkOrder, Numbers, VectorTable

Ranking: TypeAlias = list[tuple[int, float]]
"""Numbers of chunks with their scores, best first."""

_FEW = 2_000
"""So many chunks that tie are read one by one; reading the order of all of 100,000 takes longer."""
_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class ProvedReads:
    """What was read of a collection and proved, at one revision; `passing` are the documents that passed the last filter."""

    revision: str
    words: bool = False
    order: ChunkOrder | None = None
    vectors: VectorTable | None = None
    passing: tuple[str, Numbers] | None = None


class SqliteSearch:
    """Answers requests on one collection after the other; keeps the vectors of the last one until its revision changes."""

    def __init__(self) -> None:
        self._read = ProvedReads("")

    def search(
        self,
        connection: sqlite3.Connection,
        collection: CollectionRow,
        requests: Sequence[SearchRequest],
        filters: Mapping[str, Filter],
    ) -> list[list[Hit]]:
        """Return the hits of each request; `filters` holds what their filters mean; the caller holds the transaction.

        Raises MismatchError when anything that the answer hangs on is not what was put in.
        """
        if self._read.revision != collection.revision:
            self._read = ProvedReads(collection.revision)
        if any(request.mode != "vector" for request in requests) and not self._read.words:
            check_words(connection, collection)
            self._read.words = True
        by_vector = self._rank_by_vector(connection, collection, requests, filters)
        by_words = self._rank_by_words(connection, collection, requests, filters)
        rankings = []
        for position, request in enumerate(requests):
            ranking = by_vector.get(position, [])
            if request.mode != "vector":
                words = by_words[position]
                ranking = fuse([_chunks(ranking), _chunks(words)]) if request.mode == "hybrid" else words
            rankings.append(ranking[: max(0, request.top_k)])
        return _load_hits(connection, rankings)

    def _rank_by_vector(
        self,
        connection: sqlite3.Connection,
        collection: CollectionRow,
        requests: Sequence[SearchRequest],
        filters: Mapping[str, Filter],
    ) -> dict[int, Ranking]:
        """Return the rankings of the requests that ask by vector, by position; those with the same filter are one product."""
        together: dict[str | None, list[int]] = {}
        for position, request in enumerate(requests):
            if request.mode != "keyword":
                together.setdefault(request.filter, []).append(position)
        if not together:
            return {}
        import numpy as np

        table = self._table(connection, collection)
        rankings: dict[int, Ranking] = {}
        for filter_text, positions in together.items():
            questions = np.stack([_question(requests[position], collection) for position in positions])
            counts = [_depth(requests[position]) for position in positions]
            documents = None if filter_text is None else self._documents(connection, collection, filter_text, filters[filter_text])
            rankings.update(zip(positions, table.rank(questions, counts, documents), strict=True))
        return rankings

    def _rank_by_words(
        self,
        connection: sqlite3.Connection,
        collection: CollectionRow,
        requests: Sequence[SearchRequest],
        filters: Mapping[str, Filter],
    ) -> dict[int, Ranking]:
        """Return the rankings of the requests that ask by words, by position; equal scores are ordered by chunk id."""
        found: dict[int, Ranking] = {}
        asked = [(position, request) for position, request in enumerate(requests) if request.mode != "vector"]
        allowed: dict[str | None, frozenset[int] | None] = {None: None}
        for position, request in asked:
            if request.filter is not None and request.filter not in allowed:
                passing = self._documents(connection, collection, request.filter, filters[request.filter])
                allowed[request.filter] = self._order(connection, collection).chunks_of(passing)
            found[position] = rank_by_words(connection, collection, request.text, _depth(request), allowed[request.filter])
        tied = sorted({chunk for ranking in found.values() for chunk in _tied(ranking)})
        if not tied:
            return found
        place = self._places(connection, collection, tied)
        for position, ranking in found.items():
            found[position] = sorted(ranking, key=lambda row: (-row[1], place.get(row[0], 0)))[: _depth(requests[position])]
        return found

    def _places(self, connection: sqlite3.Connection, collection: CollectionRow, chunks: Sequence[int]) -> dict[int, int]:
        """Return numbers by which chunks can be ordered by their ids: a few are read themselves, for many it is faster to read all."""
        if self._read.order is None and len(chunks) < _FEW:
            read = read_chunks(connection, chunks)
            return {chunk: place for place, chunk in enumerate(sorted(chunks, key=lambda chunk: read[chunk].place))}
        return dict(zip(chunks, self._order(connection, collection).places(chunks).tolist(), strict=True))

    def _order(self, connection: sqlite3.Connection, collection: CollectionRow) -> ChunkOrder:
        from asyncrun.stores.sqlite.vectors import read_order

        if self._read.order is None:
            self._read.order = read_order(connection, collection)
        return self._read.order

    def _table(self, connection: sqlite3.Connection, collection: CollectionRow) -> VectorTable:
        from asyncrun.stores.sqlite.vectors import load_vectors

        if self._read.vectors is None:
            self._read.vectors = load_vectors(connection, collection, self._order(connection, collection))
        return self._read.vectors

    def _documents(self, connection: sqlite3.Connection, collection: CollectionRow, text: str, tree: Filter) -> Numbers:
        """Return the numbers of the documents that pass a filter; a job asks all of its questions with the same one."""
        if self._read.passing is None or self._read.passing[0] != text:
            import numpy as np

            passing = passing_documents(connection, collection, compile_filter(tree, "metadata"))
            self._read.passing = (text, np.array(passing, dtype=np.int64))
        return self._read.passing[1]


def rank_by_words(
    connection: sqlite3.Connection, collection: CollectionRow, text: str, count: int, allowed: frozenset[int] | None
) -> Ranking:
    """Return the best chunks by BM25 for any of the text's words, and all that tie with the last of them; `allowed` restricts which.

    Only words reach the index, each in quotes: what its query language would take for an operator is a word like any other.
    """
    words = dict.fromkeys(_WORD.findall(text))
    if not words or count <= 0:
        return []
    table = f"words_{collection.number:d}"
    query = " OR ".join(f'"{word}"' for word in words)
    cursor = connection.execute(f"SELECT rowid, -rank FROM {table} WHERE {table} MATCH ? ORDER BY rank", (query,))
    # No join looks chunks up one by one: what a damaged page hides from one way to a row, another way may have found.
    found = (row for row in cursor if allowed is None or row[0] in allowed)
    # The index sorts by itself, and rows are filtered one by one as they are drawn: drawing ends where nothing can tie with the last place.
    best: Ranking = list(itertools.islice(found, count))
    best += itertools.takewhile(lambda row: row[1] == best[-1][1], found)
    cursor.close()
    return best


def _load_hits(connection: sqlite3.Connection, rankings: Sequence[Ranking]) -> list[list[Hit]]:
    chunks = read_chunks(connection, sorted({chunk for ranking in rankings for chunk, _ in ranking}))

    def hit(number: int, score: float) -> Hit:
        chunk = chunks[number]
        metadata = {name: value for each in chunk.metadata for name, value in json.loads(each).items()}
        return Hit(chunk.chunk_id, chunk.doc_id, score, chunk.text, metadata, chunk.start, chunk.end)

    return [[hit(chunk, score) for chunk, score in ranking] for ranking in rankings]


def _tied(ranking: Ranking) -> list[int]:
    """Return the chunks whose scores are not their own."""
    counts = Counter(score for _, score in ranking)
    return [chunk for chunk, score in ranking if counts[score] > 1] if len(counts) < len(ranking) else []


def _depth(request: SearchRequest) -> int:
    return fusion_depth(request.top_k) if request.mode == "hybrid" else request.top_k


def _chunks(ranking: Ranking) -> list[int]:
    return [chunk for chunk, _ in ranking]


def _question(request: SearchRequest, collection: CollectionRow) -> Vectors:
    if request.vector is None:
        raise ValueError(f"a {request.mode} search needs a vector")
    vector = request.vector.reshape(-1)
    if len(vector) != collection.dimensions:
        raise SpaceMismatchError(
            f"the question's vector has {len(vector)} dimensions, those of the collection have {collection.dimensions}"
        )
    return vector
