"""The rows of the SQLite store: finding and making collections, putting in and deleting documents; the caller holds the transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from asyncrun.errors import StorageError
from asyncrun.escape import printable
from asyncrun.stores.interface import Collection, StoredDocument
from asyncrun.stores.metadata import dump_metadata
from asyncrun.stores.sqlite_file import words_table
from asyncrun.stores.sqlite_filter import json_path


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection as it stands in the file; `number` is its key."""

    number: int
    fingerprint: str
    dimensions: int
    revision: str


def as_text(value: str) -> bytes:
    """Return what to bind to `CAST(? AS TEXT)`: a text with lone surrogates cannot be bound itself."""
    return value.encode("utf-8", "surrogatepass")


def find_collection(connection: sqlite3.Connection, name: str) -> CollectionRow | None:
    """Return a collection, None when it is not there."""
    sql = "SELECT id, fingerprint, dimensions, revision FROM collections WHERE name = CAST(? AS TEXT)"
    row = connection.execute(sql, (as_text(name),)).fetchone()
    return CollectionRow(*row) if row else None


def collection_names(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all collections, sorted."""
    return [name for (name,) in connection.execute("SELECT name FROM collections ORDER BY name")]


def any_has_field(connection: sqlite3.Connection, collection: CollectionRow, field: Sequence[str]) -> bool:
    """Tell whether a document of the collection has something at a path of its metadata, or there is no document."""
    there = "SELECT EXISTS (SELECT * FROM documents WHERE collection = ?)"
    found = "SELECT EXISTS (SELECT * FROM documents WHERE collection = ? AND json_type(metadata, ?) IS NOT NULL)"
    return (
        bool(connection.execute(found, (collection.number, json_path(field))).fetchone()[0])
        or not connection.execute(there, (collection.number,)).fetchone()[0]
    )


def metadata_names(connection: sqlite3.Connection, collection: CollectionRow) -> list[str]:
    """Return the outermost names of all metadata of the collection, sorted."""
    sql = "SELECT DISTINCT each.key FROM documents, json_each(documents.metadata) AS each WHERE documents.collection = ? ORDER BY each.key"
    return [str(name) for (name,) in connection.execute(sql, (collection.number,))]


def insert_collection(connection: sqlite3.Connection, collection: Collection) -> None:
    """Make a collection and its word index."""
    sql = "INSERT INTO collections (name, fingerprint, dimensions, revision) VALUES (CAST(? AS TEXT), ?, ?, lower(hex(randomblob(8))))"
    number = connection.execute(sql, (as_text(collection.name), collection.fingerprint, collection.dimensions)).lastrowid
    for statement in words_table(number or 0):
        connection.execute(statement)


def touch_collection(connection: sqlite3.Connection, collection: CollectionRow) -> None:
    """Give a collection a new revision: random, so that a file made anew cannot repeat one that a reader remembers."""
    connection.execute("UPDATE collections SET revision = lower(hex(randomblob(8))) WHERE id = ?", (collection.number,))


def delete_document(connection: sqlite3.Connection, collection: CollectionRow, source: str, doc_id: str) -> bool:
    """Delete a document with all that belongs to it; return whether it was there."""
    sql = "SELECT id FROM documents WHERE collection = ? AND source = CAST(? AS TEXT) AND doc_id = CAST(? AS TEXT)"
    row = connection.execute(sql, (collection.number, as_text(source), as_text(doc_id))).fetchone()
    if row is None:
        return False
    words = f"words_{collection.number:d}"
    # An index without its own copy of the texts must be told what it holds: exactly the text that was put in.
    connection.execute(f"INSERT INTO {words} ({words}, rowid, text) SELECT 'delete', id, text FROM chunks WHERE document = ?", row)
    connection.execute("DELETE FROM vectors WHERE chunk IN (SELECT id FROM chunks WHERE document = ?)", row)
    connection.execute("DELETE FROM chunks WHERE document = ?", row)
    connection.execute("DELETE FROM documents WHERE id = ?", row)
    return True


def insert_document(connection: sqlite3.Connection, collection: CollectionRow, source: str, document: StoredDocument) -> None:
    """Put in a document that is not there. Raises StorageError for metadata that have no JSON form."""
    number = _insert_head(connection, collection, source, document)
    vectors = document.vectors.astype("<f4")
    for row, chunk in enumerate(document.chunks):
        inserted = connection.execute(
            """INSERT INTO chunks (document, ordinal, chunk_id, start, "end", text)
               VALUES (?, ?, CAST(? AS TEXT), ?, ?, CAST(? AS TEXT))""",
            (number, chunk.ordinal, as_text(document.chunk_id(chunk)), chunk.start, chunk.end, as_text(chunk.text)),
        )
        connection.execute("INSERT INTO vectors (chunk, vector) VALUES (?, ?)", (inserted.lastrowid, vectors[row].tobytes()))
    words = f"words_{collection.number:d}"
    connection.execute(f"INSERT INTO {words} (rowid, text) SELECT id, text FROM chunks WHERE document = ?", (number,))


def _insert_head(connection: sqlite3.Connection, collection: CollectionRow, source: str, document: StoredDocument) -> int | None:
    sql = """INSERT INTO documents (collection, source, doc_id, mark, metadata)
             VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?)"""
    try:
        metadata = dump_metadata(document.metadata)
        row = (collection.number, as_text(source), as_text(document.doc_id), as_text(document.mark), metadata)
        return connection.execute(sql, row).lastrowid
    except (TypeError, ValueError, RecursionError, sqlite3.IntegrityError) as error:
        raise StorageError(
            f"the metadata of document {printable(document.doc_id, 100)!r} cannot be stored as JSON: {error}",
            hint="Leave the field out of `metadata`, or make it text, numbers, lists and mappings.",
        ) from error
