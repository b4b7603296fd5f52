"""How the store searches: rankings by cosine and by BM25 over a tsvector, and the hits behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

import orjson
from psycopg import sql

from asyncrun.errors import SpaceMismatchError
from asyncrun.grammar.filter import parse_filter
from asyncrun.records import Hit
from asyncrun.stores.fusion import fuse, fusion_depth
from asyncrun.stores.interface import SearchRequest
from asyncrun.stores.pgvector.filter_sql import JsonbCondition, compile_filter
from asyncrun.stores.pgvector.schema import WORDS_SQL, CollectionTable, Tables

if TYPE_CHECKING:
    from asyncrun.stores.pgvector.connections import Connection

Ranking = list[tuple[int, float]]
"""Numbers of chunks with their scores, best first."""

LARGEST_VECTOR, LARGEST_HALF = 2_000, 4_000
"""Dimensions of vectors, and of those with numbers of two bytes, that an HNSW index takes."""
K1, B = 1.2, 0.75
"""The constants of BM25, as FTS5 has them."""
LEAST_INDEXED = 10_000
"""Chunks that are compared with a question one by one: an exact scan of 100,000 vectors of 384 dimensions takes 41 ms."""
_MOST_WORDS = 200
"""Different words of a question that count."""
_BY_ID = 'id COLLATE "C", source'
_EVERYTHING = JsonbCondition("true", ())


@dataclass(frozen=True, slots=True)
class PgSearch:
    """Answers one request on a collection, over a connection in a transaction that holds its table."""

    tables: Tables
    row: CollectionTable

    def hits(self, connection: Connection, request: SearchRequest) -> list[Hit]:
        """Return the best hits; equal scores are ordered by chunk id. Raises UsageError for a filter, SpaceMismatchError for a vector."""
        condition = _EVERYTHING if request.filter is None else compile_filter(parse_filter(request.filter), "metadata")
        vector = None if request.mode == "keyword" else self._vector(request)
        if request.top_k <= 0:
            return []
        depth = fusion_depth(request.top_k) if request.mode == "hybrid" else request.top_k
        by_vector = [] if vector is None else self._by_vector(connection, vector, depth, condition)
        ranking = by_vector
        if request.mode != "vector":
            ranking = by_words = self._by_words(connection, request.text, depth, condition)
            if request.mode == "hybrid":
                ranking = fuse([[number for number, _ in each] for each in (by_vector, by_words)])
        return self._load(connection, ranking[: request.top_k])

    def _vector(self, request: SearchRequest) -> str:
        """Return the question's vector in the words of pgvector."""
        if request.vector is None:
            raise ValueError(f"a {request.mode} search needs a vector")
        vector = request.vector.reshape(-1)
        if len(vector) != self.row.dimensions:
            raise SpaceMismatchError(
                f"the question's vector has {len(vector)} dimensions, those of the collection have {self.row.dimensions}"
            )
        return orjson.dumps(vector.tolist()).decode()

    def _by_vector(self, connection: Connection, vector: str, count: int, condition: JsonbCondition) -> Ranking:
        # Without iterative scans an index that finds 40 neighbours of which a filter keeps none answers nothing.
        connection.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        connection.execute("SET LOCAL hnsw.max_scan_tuples = 2147483647")
        connection.execute(sql.SQL("SET LOCAL hnsw.ef_search = {}").format(min(1_000, max(100, 2 * count))))
        distance = "embedding <=> %s::vector"
        if self.row.dimensions <= LARGEST_VECTOR:
            query = f"SELECT number, {distance} AS away FROM {{}} WHERE {condition.sql} ORDER BY away, {_BY_ID} LIMIT %s"
            parameters = (vector, *condition.parameters, count)
        else:
            # The index has numbers of two bytes: what it finds is put in order by those of four.
            near = f"SELECT * FROM {{}} WHERE {condition.sql} ORDER BY {half(self.row.dimensions)} <=> %s::vector::halfvec LIMIT %s"
            query = f"SELECT number, {distance} AS away FROM ({near}) AS near ORDER BY away, {_BY_ID} LIMIT %s"
            parameters = (vector, *condition.parameters, vector, 2 * count + 20, count)
        found = connection.execute(sql.SQL(query).format(self.tables.chunks(self.row)), parameters)
        # A vector of zeros has no direction: NaN, which PostgreSQL puts behind all numbers.
        return [(number, 0.0 if isnan(away) else 1.0 - away) for number, away in found]

    def _by_words(self, connection: Connection, text: str, count: int, condition: JsonbCondition) -> Ranking:
        asked = text.replace("\x00", " ").encode(errors="replace").decode()
        # In a large collection most chunks have words such as "the": where others are asked for, these cost the most and decide nothing.
        own = self.tables.config if self.row.chunks < LEAST_INDEXED else sql.SQL("'pg_catalog.english'::regconfig")
        query = f"SELECT lexeme FROM (SELECT %s::text AS text) AS question, unnest({WORDS_SQL})"
        for config in (own, self.tables.config):
            lexemes = connection.execute(sql.SQL(query).format(config=config), (asked,))
            if words := [_as_query(lexeme) for (lexeme,) in lexemes][:_MOST_WORDS]:
                break
        if not words or not self.row.chunks:
            return []
        ranking = sql.SQL(bm25_sql(len(words), condition.sql))
        average = max(self.row.characters / self.row.chunks, 1.0)
        any_of_them = " | ".join(words)
        parameters = (
            *(*words, self.row.chunks, average, *condition.parameters, any_of_them),
            *(*condition.parameters, self.row.indexed, any_of_them, count, count),
        )
        tables = {"config": self.tables.config, "chunks": self.tables.chunks(self.row), "words": self.tables.words(self.row)}
        found = connection.execute(ranking.format(**tables), parameters)
        return [(number, score) for number, score in found]

    def _load(self, connection: Connection, ranking: Ranking) -> list[Hit]:
        query = sql.SQL(
            'SELECT number, id, doc_id, text, metadata::text, chunk_metadata::text, start, "end" FROM {} WHERE number = ANY (%s)'
        ).format(self.tables.chunks(self.row))
        found = {row[0]: row[1:] for row in connection.execute(query, ([number for number, _ in ranking],))}
        return [_hit(found[number], score) for number, score in ranking if number in found]


def half(dimensions: int) -> str:
    """Return the vectors with numbers of two bytes, as an index has them."""
    return f"(embedding::halfvec({dimensions:d}))"


def bm25_sql(words: int, condition: str) -> str:
    """Return a query for the best chunks by BM25: of so many words, among those that pass a condition.

    `ts_rank` of one word is the sum of 1 / n^2 over its n places, divided by pi^2 / 6: how often a chunk has the word follows from it, for
    less than `unnest` takes by a factor of a hundred. How many chunks have the word is counted over all that have any, before the filter.
    """
    each = range(1, words + 1)
    times = ", ".join(f"round(0.6079271 / (1 - ts_rank('{{{{1,1,1,1}}}}', words, q{n})) - 0.5) AS f{n}" for n in each)
    # Rows with vectors are wide: they are read where a condition needs them, and for what may be among the best.
    joined = "{words}" if condition == _EVERYTHING.sql else "{words} JOIN {chunks} ON number = chunk"
    with_word = [f"count(*) FILTER (WHERE f{n} > 0)" for n in each]
    rarity = ", ".join(f"ln(1 + (greatest(total - {n}, 0) + 0.5) / ({n} + 0.5)) AS i{at}" for at, n in enumerate(with_word, 1))
    length = f"{K1} * ({1 - B} + {B} * size / average)"
    score = " + ".join(f"i{n} * f{n} * {K1 + 1} / (f{n} + {length})" for n in each)
    return f"""
        WITH question AS (
            SELECT {", ".join(f"%s::tsquery AS q{n}" for n in each)}, %s::float8 AS total, %s::float8 AS average),
        found AS MATERIALIZED (
            SELECT chunk, size, {condition} AS passes, {times} FROM question, {joined} WHERE words @@ %s::tsquery
            UNION ALL
            SELECT number, "end" - start AS size, {condition} AS passes, {times}
            FROM question, {{chunks}}, LATERAL (SELECT {WORDS_SQL} AS words) AS made WHERE number > %s AND words @@ %s::tsquery),
        known AS (SELECT {rarity} FROM found, question GROUP BY total),
        scored AS MATERIALIZED (SELECT chunk, {score} AS score FROM found, known, question WHERE passes)
        SELECT number, score FROM scored JOIN {{chunks}} ON number = chunk
        WHERE score >= (SELECT min(score) FROM (SELECT score FROM scored ORDER BY score DESC LIMIT %s) AS best)
        ORDER BY score DESC, {_BY_ID} LIMIT %s"""


def _as_query(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def _hit(row: Sequence[Any], score: float) -> Hit:
    chunk_id, doc_id, text, metadata, own, start, end = row
    return Hit(chunk_id, doc_id, float(score), text, {**orjson.loads(metadata), **orjson.loads(own)}, start, end)
