"""The indexes of a collection, built when an ingest job has ended: rows go in a hundred times faster while there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import psycopg
from psycopg import sql

from asyncrun.stores.pgvector.schema import WORDS_SQL, CollectionTable, Tables, words_name
from asyncrun.stores.pgvector.search import LARGEST_HALF, LARGEST_VECTOR, LEAST_INDEXED, half

if TYPE_CHECKING:
    from asyncrun.stores.pgvector.connections import Connection, Connections

Index = Literal["hnsw", "none"]

_WORDS_AT_ONCE = 20_000
_BYTES_A_NODE = 400
"""What a graph takes for a vector besides its numbers, about: m = 16 neighbours twice on the lowest level, with its pages."""
_MOST_MEMORY = 2 << 30
_UNHURRIED = "SET LOCAL statement_timeout = 0"
"""A user's limit is meant for questions; what it ends here would be begun anew by every job, and never be done."""


def index_words(connections: Connections, tables: Tables, name: str) -> None:
    """Put the words of new chunks into the index of words, some thousands a transaction; a kill leaves what is done."""
    while True:
        with connections.transaction() as connection:
            row = tables.find(connection, name)
            if row is None or row.indexed >= row.next_chunk - 1:
                return
            # Numbers are given away one transaction after the other: below `next_chunk` none comes any more.
            last = min(row.indexed + _WORDS_AT_ONCE, row.next_chunk - 1)
            connection.execute(_UNHURRIED)
            _fill_words(connection, tables, row, last)


def _fill_words(connection: Connection, tables: Tables, row: CollectionTable, last: int) -> None:
    # Waits for the transaction that changes the collection now: what it deletes has no words then.
    connection.execute(sql.SQL("SELECT 1 FROM {} WHERE number = %s FOR UPDATE").format(tables.collections), (row.number,))
    fill = 'INSERT INTO {words} SELECT number, "end" - start, ' + WORDS_SQL + " FROM {chunks} WHERE number > %s AND number <= %s"
    query = sql.SQL(fill + " ON CONFLICT DO NOTHING").format(config=tables.config, words=tables.words(row), chunks=tables.chunks(row))
    connection.execute(query, (row.indexed, last))
    moved = sql.SQL("UPDATE {} SET indexed = greatest(indexed, %s) WHERE number = %s").format(tables.collections)
    connection.execute(moved, (last, row.number))


def build_indexes(connections: Connections, tables: Tables, row: CollectionTable, index: Index) -> None:
    """Build what is missing: the index of words, and for a large collection that of vectors. Readers go on, writers wait.

    Each is there wholly or not at all, also after a kill; one that somebody's CREATE INDEX CONCURRENTLY left half is built again.
    """
    words = words_name(row.table_name)
    with connections.alone() as connection:
        if not _has_index(connection, tables, words, "gin"):
            with connection.transaction():
                connection.execute(_UNHURRIED)
                connection.execute(sql.SQL("CREATE INDEX ON {} USING gin (words)").format(tables.words(row)), ())
        large = index == "hnsw" and row.chunks >= LEAST_INDEXED and row.dimensions <= LARGEST_HALF
        if large and not _has_index(connection, tables, row.table_name, "hnsw"):
            _build_graph(connection, tables, row)


def _build_graph(connection: Connection, tables: Tables, row: CollectionTable) -> None:
    kind = "embedding vector_cosine_ops" if row.dimensions <= LARGEST_VECTOR else f"({half(row.dimensions)}) halfvec_cosine_ops"
    build = sql.SQL(f"CREATE INDEX ON {{}} USING hnsw ({kind})").format(tables.chunks(row))
    needed = min(_MOST_MEMORY, max(64 << 20, row.chunks * (4 * row.dimensions + _BYTES_A_NODE)))
    # With the usual 64 MB the graph does not fit, and building takes four times as long.
    memory = """SELECT set_config(name, greatest(%s, pg_size_bytes(current_setting(name)) / 1024) || 'kB', true)
                FROM (SELECT 'maintenance_work_mem' AS name) AS setting"""
    for workers in ("", "SET LOCAL max_parallel_maintenance_workers = 0"):
        try:
            with connection.transaction():
                connection.execute(_UNHURRIED)
                connection.execute(memory, (needed >> 10,))
                if workers:
                    connection.execute(workers)
                connection.execute(build, ())
        except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory):
            # A container's /dev/shm is often too small for what workers share; alone it needs none.
            if workers:
                raise
        else:
            return


def _has_index(connection: Connection, tables: Tables, table: str, method: str) -> bool:
    """Tell whether a table has a valid index of a kind, whoever built it; one that is not valid is dropped."""
    query = """SELECT i.relname, indisvalid FROM pg_index JOIN pg_class t ON t.oid = indrelid JOIN pg_class i ON i.oid = indexrelid
               JOIN pg_am a ON a.oid = i.relam JOIN pg_namespace n ON n.oid = t.relnamespace
               WHERE n.nspname = %s AND t.relname = %s AND a.amname = %s"""
    found = connection.execute(query, (tables.schema, table, method)).fetchall()
    for name, valid in found:
        if not valid:
            connection.execute(sql.SQL("DROP INDEX {}").format(tables.named(name)), ())
    return any(valid for _, valid in found)
