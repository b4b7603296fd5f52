"""How the SQLite store searches: rankings by cosine and by words, their fusion, and the hits behind them."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from asyncrun.errors import SpaceMismatchError
from asyncrun.grammar.filter import Filter
from asyncrun.records import Hit
from asyncrun.stores.fusion import fuse
from asyncrun.stores.interface import SearchRequest, fusion_depth
from asyncrun.stores.sqlite_filter import Condition, compile_filter
from asyncrun.stores.sqlite_rows import CollectionRow

if TYPE_CHECKING:
    from asyncrun.records import Vectors
    from asyncrun.stores.sqlite_vectors import Numbers, VectorTable

Ranking: TypeAlias = list[tuple[int, float]]
"""Numbers of chunks with their scores, best first."""

_WORD = re.compile(r"[^\W_]+")


class SqliteSearch:
    """Answers requests on one collection after the other; keeps the vectors of the last one until its revision changes."""

    def __init__(self) -> None:
        self._vectors: VectorTable | None = None
        self._passing: tuple[str, Numbers] | None = None

    def search(
        self,
        connection: sqlite3.Connection,
        collection: CollectionRow,
        requests: Sequence[SearchRequest],
        filters: Mapping[str, Filter],
    ) -> list[list[Hit]]:
        """Return the hits of each request; `filters` holds what their filters mean; the caller holds the transaction."""
        by_vector = self._rank_by_vector(connection, collection, requests, filters)
        rankings = []
        for position, request in enumerate(requests):
            ranking = by_vector.get(position, [])
            if request.mode != "vector":
                tree = filters[request.filter] if request.filter is not None else None
                by_words = rank_by_words(connection, collection, request.text, _depth(request), tree)
                ranking = fuse([_chunks(ranking), _chunks(by_words)]) if request.mode == "hybrid" else by_words
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

    def _table(self, connection: sqlite3.Connection, collection: CollectionRow) -> VectorTable:
        from asyncrun.stores.sqlite_vectors import load_vectors

        if self._vectors is None or self._vectors.revision != collection.revision:
            self._passing = self._vectors = None  # Room for the new ones first: two of them may not fit into memory.
            self._vectors = load_vectors(connection, collection)
        return self._vectors

    def _documents(self, connection: sqlite3.Connection, collection: CollectionRow, text: str, tree: Filter) -> Numbers:
        """Return the numbers of the documents that pass a filter; a job asks all of its questions with the same one."""
        if self._passing is None or self._passing[0] != text:
            self._passing = (text, _filtered_documents(connection, collection, tree))
        return self._passing[1]


def rank_by_words(connection: sqlite3.Connection, collection: CollectionRow, text: str, count: int, tree: Filter | None) -> Ranking:
    """Return the best chunks by BM25 for any of the text's words; equal scores are ordered by chunk id.

    Only words reach the index, each in quotes: what its query language would take for an operator is a word like any other.
    """
    words = dict.fromkeys(_WORD.findall(text))
    if not words or count <= 0:
        return []
    table = f"words_{collection.number:d}"
    condition, joins = Condition("1", ()), ""
    if tree is not None:
        condition = compile_filter(tree, "documents.metadata")
        # CROSS JOIN keeps SQLite from turning the order round and asking the index once a document.
        joins = f"CROSS JOIN chunks ON chunks.id = {table}.rowid CROSS JOIN documents ON documents.id = chunks.document"
    sql = f"SELECT {table}.rowid, -{table}.rank FROM {table} {joins} WHERE {table} MATCH ? AND {condition.sql} ORDER BY {table}.rank"
    query = " OR ".join(f'"{word}"' for word in words)
    found = connection.execute(sql, (query, *condition.parameters))
    # The index sorts by itself, and rows are filtered one by one as they are drawn: drawing ends where nothing can tie with the last place.
    best: Ranking = found.fetchmany(count)
    best += itertools.takewhile(lambda row: row[1] == best[-1][1], found)
    found.close()
    order = {chunk: place for place, chunk in enumerate(_in_order(connection, _chunks(best)))}
    return sorted(best, key=lambda row: (-row[1], order[row[0]]))[:count]


def _in_order(connection: sqlite3.Connection, chunks: Sequence[int]) -> list[int]:
    """Return the numbers of chunks in the order of the chunks' ids."""
    sql = """
        SELECT chunks.id FROM chunks JOIN documents ON documents.id = chunks.document
        WHERE chunks.id IN (SELECT value FROM json_each(?)) ORDER BY chunks.chunk_id, documents.source"""
    return [chunk for (chunk,) in connection.execute(sql, (json.dumps(chunks),))]


def _filtered_documents(connection: sqlite3.Connection, collection: CollectionRow, tree: Filter) -> Numbers:
    import numpy as np

    condition = compile_filter(tree, "metadata")
    sql = f"SELECT id FROM documents WHERE collection = ? AND {condition.sql}"
    rows = connection.execute(sql, (collection.number, *condition.parameters)).fetchall()
    return np.array(rows, dtype=np.int64).reshape(-1)


def _load_hits(connection: sqlite3.Connection, rankings: Sequence[Ranking]) -> list[list[Hit]]:
    sql = """
        SELECT chunks.id, chunk_id, doc_id, text, metadata, start, "end" FROM chunks JOIN documents ON documents.id = chunks.document
        WHERE chunks.id IN (SELECT value FROM json_each(?))"""
    numbers = json.dumps(sorted({chunk for ranking in rankings for chunk, _ in ranking}))
    rows = {row[0]: row[1:] for row in connection.execute(sql, (numbers,))}

    def hit(chunk: int, score: float) -> Hit:
        chunk_id, doc_id, text, metadata, start, end = rows[chunk]
        return Hit(chunk_id, doc_id, score, text, json.loads(metadata), start, end)

    return [[hit(chunk, score) for chunk, score in ranking] for ranking in rankings]


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
