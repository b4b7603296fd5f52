"""A collection read as it was put in: its documents, one after the other, and how much room they take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from psycopg import sql

from asyncrun.escape import printable
from asyncrun.records import Chunk
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.pgvector.schema import CollectionTable, Tables, words_name

if TYPE_CHECKING:
    from asyncrun.records import Vectors
    from asyncrun.stores.pgvector.connections import Connection

_ROWS_AT_ONCE = 500


def read_documents(connection: Connection, tables: Tables, row: CollectionTable) -> Iterator[tuple[str, StoredDocument]]:
    """Yield each document after its source, in the order of both; the caller holds a transaction that sees one state."""
    query = sql.SQL(
        """SELECT d.source, d.doc_id, d.mark, d.metadata::text, d.chunks,
                  text, start, "end", ordinal, chunk_metadata::text, vector_send(embedding)
           FROM {} AS d LEFT JOIN {} AS c ON c.number >= first_chunk AND c.number < first_chunk + d.chunks
           WHERE collection = %s ORDER BY d.source COLLATE "C", d.doc_id COLLATE "C", c.number"""
    ).format(tables.documents, tables.chunks(row))
    with connection.cursor("asyncrun_documents") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(query, (row.number,))
        rows: list[Sequence[Any]] = []
        for found in cursor:
            rows.append(found)
            if len(rows) >= found[4]:
                yield rows[0][0], _document(rows, row.dimensions)
                rows = []


def table_sizes(connection: Connection, tables: Tables, row: CollectionTable) -> int:
    """Return the bytes of a collection's tables with their indexes."""
    query = """SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
               WHERE nspname = %s AND relname = ANY (%s)"""
    names = [row.table_name, words_name(row.table_name)]
    return int((connection.execute(query, (tables.schema, names)).fetchone() or (0,))[0])


def describe_database(connection: Connection, schema: str, create: bool) -> str:
    """Return the versions of PostgreSQL and pgvector, and what is in the way of filling a schema."""
    query = """SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'vector'),
                      to_regnamespace(quote_ident(%s)) IS NOT NULL, current_setting('transaction_read_only') = 'on'"""
    version, vectors, there, read_only = connection.execute(query, (schema,)).fetchone() or ("", None, False, False)
    lacking = [] if vectors or create else ["the extension vector is not there"]
    lacking += ["pgvector 0.8 or newer is needed"] if vectors and tuple(map(int, vectors.split(".")[:2])) < (0, 8) else []
    lacking += [] if there else [f"the schema {printable(schema)!r} is not there"]
    may = there and connection.execute("SELECT has_schema_privilege(quote_ident(%s), 'CREATE')", (schema,)).fetchone() != (True,)
    lacking += ["it can only be read"] if read_only else []
    lacking += [f"the user may make no tables in {printable(schema)!r}"] if create and may else []
    versions = f"PostgreSQL {str(version).split()[0]}" + (f", pgvector {vectors}" if vectors else ", no pgvector yet")
    return "; ".join([versions, *lacking])


def _document(rows: Sequence[Sequence[Any]], dimensions: int) -> StoredDocument:
    _, doc_id, mark, metadata, count, *_ = rows[0]
    own = [row[5:] for row in rows[:count]]
    chunks = [Chunk(text, start, end, ordinal, orjson.loads(about)) for text, start, end, ordinal, about, _ in own]
    return StoredDocument(doc_id, mark, chunks, _vectors([row[-1] for row in own], dimensions), orjson.loads(metadata))


def _vectors(sent: Sequence[bytes], dimensions: int) -> Vectors:
    """Return the vectors that pgvector has sent: two numbers of two bytes before each."""
    raw = b"".join(each[4:] for each in sent)
    return np.frombuffer(raw, dtype=">f4").astype(np.float32).reshape(len(sent), dimensions)
