"""Putting documents into the SQLite store and deleting them; the caller holds the transaction."""

from __future__ import annotations

import sqlite3

from asyncrun.errors import StorageError
from asyncrun.escape import printable
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.metadata import dump_metadata
from asyncrun.stores.sqlite_collections import CollectionRow, as_text
from asyncrun.stores.sqlite_documents import ChunkRow, DocumentRow, delete_sums, insert_sums
from asyncrun.stores.sqlite_sums import Sums


def delete_document(connection: sqlite3.Connection, collection: CollectionRow, source: str, doc_id: str) -> Sums | None:
    """Delete a document with all that belongs to it; return what it added to the sums of its collection, None when it was not there."""
    sql = "SELECT id FROM documents WHERE collection = ? AND source = CAST(? AS TEXT) AND doc_id = CAST(? AS TEXT)"
    row = connection.execute(sql, (collection.number, as_text(source), as_text(doc_id))).fetchone()
    if row is None:
        return None
    sums = delete_sums(connection, *row)
    words = f"words_{collection.number:d}"
    # An index without its own copy of the texts must be told what it holds: exactly the text that was put in.
    connection.execute(f"INSERT INTO {words} ({words}, rowid, text) SELECT 'delete', id, text FROM chunks WHERE document = ?", row)
    connection.execute("DELETE FROM vectors WHERE chunk IN (SELECT id FROM chunks WHERE document = ?)", row)
    connection.execute("DELETE FROM chunks WHERE document = ?", row)
    connection.execute("DELETE FROM documents WHERE id = ?", row)
    return sums


def insert_document(connection: sqlite3.Connection, collection: CollectionRow, source: str, document: StoredDocument) -> Sums:
    """Put in a document that is not there; return what it adds to the sums of its collection.

    Raises StorageError for metadata that have no JSON form.
    """
    head = _insert_head(connection, collection, source, document)
    vectors = document.vectors.astype("<f4")
    chunks = []
    for row, chunk in enumerate(document.chunks):
        chunk_id, text, vector = as_text(document.chunk_id(chunk)), as_text(chunk.text), vectors[row].tobytes()
        inserted = connection.execute(
            """INSERT INTO chunks (document, ordinal, chunk_id, start, "end", text)
               VALUES (?, ?, CAST(? AS TEXT), ?, ?, CAST(? AS TEXT))""",
            (head.number, chunk.ordinal, chunk_id, chunk.start, chunk.end, text),
        )
        number = inserted.lastrowid or 0
        connection.execute("INSERT INTO vectors (chunk, vector) VALUES (?, ?)", (number, vector))
        chunks.append(ChunkRow(number, chunk.ordinal, chunk_id, chunk.start, chunk.end, text, vector))
    words = f"words_{collection.number:d}"
    connection.execute(f"INSERT INTO {words} (rowid, text) SELECT id, text FROM chunks WHERE document = ?", (head.number,))
    return insert_sums(connection, head, chunks)


def _insert_head(connection: sqlite3.Connection, collection: CollectionRow, source: str, document: StoredDocument) -> DocumentRow:
    sql = """INSERT INTO documents (collection, source, doc_id, mark, metadata)
             VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?)"""
    try:
        metadata = dump_metadata(document.metadata)
        texts = (as_text(source), as_text(document.doc_id), as_text(document.mark))
        number = connection.execute(sql, (collection.number, *texts, metadata)).lastrowid or 0
    except (TypeError, ValueError, RecursionError, sqlite3.IntegrityError) as error:
        raise StorageError(
            f"the metadata of document {printable(document.doc_id, 100)!r} cannot be stored as JSON: {error}",
            hint="Leave the field out of `metadata`, or make it text, numbers, lists and mappings.",
        ) from error
    return DocumentRow(number, collection.number, *texts, metadata.encode())
