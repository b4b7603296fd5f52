"""Documents as bytes with their checksums: put into the SQLite store and deleted; the caller holds the transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from zlib import crc32

from asyncrun.records import Chunk
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.metadata_json import metadata_json, no_json_form
from asyncrun.stores.sqlite.checksums import (
    NO_SUMS,
    MismatchError,
    Sums,
    chunk_sum,
    document_sum,
    garbled,
    mixed,
    name_sum,
    row_crc,
    signed,
)
from asyncrun.stores.sqlite.collections import CollectionRow, as_text, from_bytes
from asyncrun.stores.sqlite.filter_sql import json_path


class DocumentRow(NamedTuple):
    """A row of `documents`."""

    number: int
    collection: int
    source: bytes
    doc_id: bytes
    mark: bytes
    metadata: bytes

    @property
    def sum(self) -> int:
        """Return the checksum of the row."""
        return document_sum(*self)


class ChunkRow(NamedTuple):
    """A row of `chunks` with its vector; `metadata` is JSON, or nothing."""

    number: int
    ordinal: int
    chunk_id: bytes
    start: int
    end: int
    text: bytes
    vector: bytes
    metadata: bytes = b""

    def sum(self, document: DocumentRow) -> int:
        """Return the checksum of what a hit says, the vector left out."""
        place = f"{self.number} {document.number} {self.ordinal} {self.start} {self.end}"
        own = (self.metadata,) if self.metadata else ()
        return chunk_sum(place, self.chunk_id, self.text, document.source, document.doc_id, document.metadata, *own)


_MOST = 1 << 62
"""More chunks than any file has."""


def sums_of(document: DocumentRow, chunks: Sequence[ChunkRow]) -> Sums:
    """Return what a document adds to the sums of its collection."""
    names = sum(mixed(chunk.number, document.number, name_sum(chunk.chunk_id, document.source)) for chunk in chunks)
    vectors = sum(mixed(chunk.number, crc32(chunk.vector)) for chunk in chunks)
    return NO_SUMS + Sums(mixed(document.number, document.sum), names, vectors)


def insert_sums(connection: sqlite3.Connection, document: DocumentRow, chunks: Sequence[ChunkRow]) -> Sums:
    """Put in the checksums of a document that is there; returns what it adds to those of its collection."""
    sums = sums_of(document, chunks)
    stated = (document.sum, signed(sums.chunks), signed(sums.vectors))
    connection.execute("INSERT INTO document_sums VALUES (?, ?, ?, ?, ?)", (document.number, *stated, row_crc(document.number, *stated)))
    connection.executemany("INSERT INTO chunk_sums VALUES (?, ?)", [(chunk.number, chunk.sum(document)) for chunk in chunks])
    return sums


def delete_sums(connection: sqlite3.Connection, number: int) -> Sums:
    """Delete the checksums of a document that is still there; returns what it added to those of its collection."""
    row = connection.execute("SELECT row, chunks, vectors FROM document_sums WHERE document = ?", (number,)).fetchone()
    connection.execute("DELETE FROM chunk_sums WHERE chunk IN (SELECT id FROM chunks WHERE document = ?)", (number,))
    connection.execute("DELETE FROM document_sums WHERE document = ?", (number,))
    if row is None:
        raise MismatchError("a document has no checksums")
    return NO_SUMS + Sums(mixed(number, row[0]), row[1], row[2])


def as_put_in(head: DocumentRow, chunks: Sequence[ChunkRow], collection: CollectionRow) -> StoredDocument:
    """Return a document as it was put in. Raises MismatchError for rows that cannot be of one."""
    import numpy as np

    with garbled("a document"):
        vectors = np.frombuffer(b"".join(chunk.vector for chunk in chunks), dtype="<f4").reshape(len(chunks), collection.dimensions)
        parts = [
            Chunk(from_bytes(each.text), each.start, each.end, each.ordinal, json.loads(each.metadata) if each.metadata else {})
            for each in chunks
        ]
        return StoredDocument(from_bytes(head.doc_id), from_bytes(head.mark), parts, vectors, json.loads(from_bytes(head.metadata)))


def document_numbers(connection: sqlite3.Connection, collection: int) -> list[int]:
    """Return the numbers of a collection's documents, in the order in which they were put in."""
    return [number for (number,) in connection.execute("SELECT id FROM documents WHERE collection = ? ORDER BY id", (collection,))]


def find_head(connection: sqlite3.Connection, number: int) -> DocumentRow:
    """Return a document's own row as it stands there. Raises MismatchError when there is none."""
    sql = """SELECT collection, CAST(source AS BLOB), CAST(doc_id AS BLOB), CAST(mark AS BLOB), CAST(metadata AS BLOB)
             FROM documents WHERE id = ?"""
    row = connection.execute(sql, (number,)).fetchone()
    if row is None:
        raise MismatchError("a document cannot be found")
    return DocumentRow(number, *row)


def find_chunks(connection: sqlite3.Connection, number: int) -> list[ChunkRow]:
    """Return a document's chunks as they stand there, in order."""
    sql = """SELECT chunks.id, ordinal, CAST(chunk_id AS BLOB), start, "end", CAST(text AS BLOB), CAST(vector AS BLOB),
                 ifnull(CAST(metadata AS BLOB), x'')
             FROM chunks JOIN vectors ON vectors.chunk = chunks.id LEFT JOIN chunk_metadata ON chunk_metadata.chunk = chunks.id
             WHERE document = ? ORDER BY ordinal"""
    return [ChunkRow(*row) for row in connection.execute(sql, (number,))]


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
    for table in ("vectors", "chunk_metadata"):
        connection.execute(f"DELETE FROM {table} WHERE chunk IN (SELECT id FROM chunks WHERE document = ?)", row)
    connection.execute("DELETE FROM chunks WHERE document = ?", row)
    connection.execute("DELETE FROM documents WHERE id = ?", row)
    return sums


def insert_documents(connection: sqlite3.Connection, collection: CollectionRow, source: str, documents: Iterable[StoredDocument]) -> Sums:
    """Put in documents that are not there, each id once; return what they add to the sums of their collection.

    Raises StorageError for metadata that have no JSON form.
    """
    [first] = connection.execute("SELECT ifnull(max(id), 0) + 1 FROM chunks").fetchone()
    if first > _MOST:
        raise MismatchError("the number of a chunk cannot be one that was put in")
    number, sums = first, NO_SUMS
    rows: list[tuple[DocumentRow, list[ChunkRow]]] = []
    for document in documents:
        head = _insert_head(connection, collection, source, document)
        chunks = _chunk_rows(document, number)
        if own := [(chunk.number, chunk.metadata.decode()) for chunk in chunks if chunk.metadata]:
            with _storable(document):
                connection.executemany("INSERT INTO chunk_metadata VALUES (?, ?)", own)
        rows.append((head, chunks))
        number += len(chunks)
    connection.executemany(
        """INSERT INTO chunks (document, id, ordinal, chunk_id, start, "end", text)
           VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?, CAST(? AS TEXT))""",
        ((head.number, *chunk[:6]) for head, chunks in rows for chunk in chunks),
    )
    connection.executemany("INSERT INTO vectors VALUES (?, ?)", ((chunk.number, chunk.vector) for _, chunks in rows for chunk in chunks))
    connection.execute(f"INSERT INTO words_{collection.number:d} (rowid, text) SELECT id, text FROM chunks WHERE id >= ?", (first,))
    for head, chunks in rows:
        sums += insert_sums(connection, head, chunks)
    return sums


def _chunk_rows(document: StoredDocument, number: int) -> list[ChunkRow]:
    """Return the chunks of a document as rows, numbered from `number`."""
    return [
        ChunkRow(
            number + row,
            chunk.ordinal,
            as_text(document.chunk_id(chunk)),
            chunk.start,
            chunk.end,
            as_text(chunk.text),
            vector.tobytes(),
            metadata_json(document.doc_id, chunk.metadata).encode() if chunk.metadata else b"",
        )
        for row, (chunk, vector) in enumerate(zip(document.chunks, document.vectors.astype("<f4"), strict=True))
    ]


def _insert_head(connection: sqlite3.Connection, collection: CollectionRow, source: str, document: StoredDocument) -> DocumentRow:
    sql = """INSERT INTO documents (collection, source, doc_id, mark, metadata)
             VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?)"""
    texts = (as_text(source), as_text(document.doc_id), as_text(document.mark))
    with _storable(document):
        metadata = metadata_json(document.doc_id, document.metadata)
        number = connection.execute(sql, (collection.number, *texts, metadata)).lastrowid or 0
    return DocumentRow(number, collection.number, *texts, metadata.encode())


@contextmanager
def _storable(document: StoredDocument) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise no_json_form(document.doc_id, error) from error


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
