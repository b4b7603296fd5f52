"""The schema of the SQLite store's file: its versions, the word index of a collection, and telling whose file it is."""

from __future__ import annotations

import re
import sqlite3
from itertools import chain
from pathlib import Path

from asyncrun.errors import StorageError
from asyncrun.escape import printable
from asyncrun.stores.sqlite.checksums import MismatchError

APPLICATION_ID = 0x61737972
"""Says in the file's header that it is a store of asyncrun, so that another program's database is never touched."""

SCHEMA_VERSIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE collections (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            fingerprint TEXT NOT NULL,
            dimensions INTEGER NOT NULL,
            revision TEXT NOT NULL
        )""",
        """CREATE TABLE documents (
            id INTEGER PRIMARY KEY,
            collection INTEGER NOT NULL REFERENCES collections (id),
            source TEXT NOT NULL,
            doc_id TEXT NOT NULL,
            mark TEXT NOT NULL,
            metadata TEXT NOT NULL CHECK (json_valid(metadata)),
            UNIQUE (collection, source, doc_id)
        )""",
        """CREATE TABLE chunks (
            id INTEGER PRIMARY KEY,
            document INTEGER NOT NULL REFERENCES documents (id),
            ordinal INTEGER NOT NULL,
            chunk_id TEXT NOT NULL,
            start INTEGER NOT NULL,
            "end" INTEGER NOT NULL,
            text TEXT NOT NULL,
            UNIQUE (document, ordinal)
        )""",
        # Away from the texts: a filter or a keyword search reads no vector, and loading all vectors reads no text.
        "CREATE TABLE vectors (chunk INTEGER PRIMARY KEY REFERENCES chunks (id), vector BLOB NOT NULL)",
    ),
    (
        # `name` to `dimensions` are copies. `words` is of the word index, null until it is sealed. `lacking` lists the sources whose
        # documents were lost, as JSON.
        """CREATE TABLE collection_sums (
            collection INTEGER PRIMARY KEY REFERENCES collections (id),
            name TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            dimensions INTEGER NOT NULL,
            documents INTEGER NOT NULL,
            chunks INTEGER NOT NULL,
            vectors INTEGER NOT NULL,
            words INTEGER,
            lacking TEXT NOT NULL,
            sum INTEGER NOT NULL
        )""",
        # `row` is of the document's own row, `chunks` and `vectors` are sums over its chunks, `sum` is over all of these.
        """CREATE TABLE document_sums (
            document INTEGER PRIMARY KEY REFERENCES documents (id),
            row INTEGER NOT NULL,
            chunks INTEGER NOT NULL,
            vectors INTEGER NOT NULL,
            sum INTEGER NOT NULL
        )""",
        "CREATE TABLE chunk_sums (chunk INTEGER PRIMARY KEY REFERENCES chunks (id), sum INTEGER NOT NULL)",
    ),
    (
        # Only of chunks that have any, covered by their `chunk_sums`.
        """CREATE TABLE chunk_metadata (
            chunk INTEGER PRIMARY KEY REFERENCES chunks (id),
            metadata TEXT NOT NULL CHECK (json_valid(metadata))
        )""",
    ),
)
"""Statements per version of the schema, oldest first; one that was released is never changed: a file must hold exactly these."""


def words_table(collection: int) -> tuple[str, ...]:
    """Return the statements that make a collection's own word index.

    Each collection has one, because BM25 counts how rare a word is among all rows of the table: what other collections hold must not
    change an answer. The view is what the index reads its texts from.
    """
    return (
        f"""CREATE VIEW passages_{collection:d} AS
            SELECT chunks.id AS id, chunks.text AS text FROM documents JOIN chunks ON chunks.document = documents.id
            WHERE documents.collection = {collection:d}""",
        f"""CREATE VIRTUAL TABLE words_{collection:d} USING fts5 (
            text, content = 'passages_{collection:d}', content_rowid = 'id', tokenize = 'porter unicode61'
        )""",
    )


_OURS = re.compile(r"collections|documents|chunks|vectors|(collection|document|chunk)_sums|chunk_metadata|(words|passages)_\d+")
"""Names of what the file must hold exactly as it was made; the tables that the word index makes for itself are not among them."""


def is_begun(connection: sqlite3.Connection) -> bool:
    """Tell whether anything was ever committed to the file: tables and the id in its header come in one transaction."""
    tables = connection.execute("SELECT EXISTS (SELECT * FROM sqlite_master)").fetchone()[0]
    return bool(tables) or _pragma(connection, "application_id") != 0


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the schema, 0 for an empty file; the caller holds a transaction.

    Raises StorageError for a file that is not ours or newer than we are, MismatchError when header and tables do not fit each other:
    no single damage makes a file of ours pass for another one.
    """
    if not is_begun(connection):
        return 0
    found, ours = set(_statements(connection)), _pragma(connection, "application_id") == APPLICATION_ID
    stated = _pragma(connection, "user_version")
    known = next((n for n in range(len(SCHEMA_VERSIONS), 0, -1) if found.issuperset(chain(*SCHEMA_VERSIONS[:n]))), 0)
    if not ours and not known:
        raise StorageError(f"{printable(str(path))} is a database of another program", hint="Choose another path for the store.")
    whole = bool(known) and found == _expected(connection, known)
    one_bit = (stated ^ known).bit_count() == 1
    if ours and stated > len(SCHEMA_VERSIONS) and not (whole and one_bit):
        raise StorageError(
            f"{printable(str(path))} was written by a newer asyncrun (schema {stated}, this one knows {len(SCHEMA_VERSIONS)})",
            hint="Upgrade asyncrun, or choose another path for the store.",
        )
    if not (ours and whole and stated == known):
        raise MismatchError("its tables are not those that it should have")
    return known


def _expected(connection: sqlite3.Connection, version: int) -> set[str]:
    # From the table, as all else that is read of collections: its index may still have what the table has lost.
    collections = [number for (number,) in connection.execute("SELECT id FROM collections NOT INDEXED")]
    return {*chain(*SCHEMA_VERSIONS[:version]), *chain(*map(words_table, collections))}


def _statements(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return [sql for name, sql in rows if _OURS.fullmatch(name)]


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
