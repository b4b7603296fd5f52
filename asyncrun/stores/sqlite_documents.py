"""A stored document as bytes with its checksums, and reading it only when it is what was put in."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from zlib import crc32

from asyncrun.stores.sqlite_sums import NO_SUMS, MismatchError, Sums, chunk_sum, document_sum, mixed, name_sum, row_sum, signed


@dataclass(frozen=True, slots=True)
class DocumentRow:
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
        return document_sum(*astuple(self))


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A row of `chunks` with its vector."""

    number: int
    ordinal: int
    chunk_id: bytes
    start: int
    end: int
    text: bytes
    vector: bytes

    def sum(self, document: DocumentRow) -> int:
        """Return the checksum of what a hit says, the vector left out."""
        place = f"{self.number} {document.number} {self.ordinal} {self.start} {self.end}"
        return chunk_sum(place, self.chunk_id, self.text, document.source, document.doc_id, document.metadata)


def sums_of(document: DocumentRow, chunks: Sequence[ChunkRow]) -> Sums:
    """Return what a document adds to the sums of its collection."""
    names = sum(mixed(chunk.number, document.number, name_sum(chunk.chunk_id, document.source)) for chunk in chunks)
    vectors = sum(mixed(chunk.number, crc32(chunk.vector)) for chunk in chunks)
    return NO_SUMS + Sums(mixed(document.number, document.sum), names, vectors)


def insert_sums(connection: sqlite3.Connection, document: DocumentRow, chunks: Sequence[ChunkRow]) -> Sums:
    """Put in the checksums of a document that is there; returns what it adds to those of its collection."""
    sums = sums_of(document, chunks)
    stated = (document.sum, signed(sums.chunks), signed(sums.vectors))
    connection.execute("INSERT INTO document_sums VALUES (?, ?, ?, ?, ?)", (document.number, *stated, row_sum(document.number, *stated)))
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
    sql = """SELECT chunks.id, ordinal, CAST(chunk_id AS BLOB), start, "end", CAST(text AS BLOB), CAST(vector AS BLOB)
             FROM chunks JOIN vectors ON vectors.chunk = chunks.id WHERE document = ? ORDER BY ordinal"""
    return [ChunkRow(*row) for row in connection.execute(sql, (number,))]


def read_head(connection: sqlite3.Connection, number: int) -> DocumentRow:
    """Return a document's own row. Raises MismatchError when it is not what was put in."""
    document = find_head(connection, number)
    stated = connection.execute("SELECT row, chunks, vectors, sum FROM document_sums WHERE document = ?", (number,)).fetchone()
    if None in (document.source, document.doc_id, document.mark, document.metadata) or stated is None:
        raise MismatchError("a document lacks a part")
    if stated[0] != document.sum or stated[3] != row_sum(number, *stated[:3]):
        raise MismatchError(f"document {_shown(document)} does not fit its checksum")
    return document


def read_document(connection: sqlite3.Connection, number: int) -> tuple[DocumentRow, list[ChunkRow], Sums]:
    """Return a document, its chunks and their sums. Raises MismatchError when any of it is not what was put in."""
    document, chunks = read_head(connection, number), find_chunks(connection, number)
    if any(None in (chunk.chunk_id, chunk.text, chunk.vector) for chunk in chunks):
        raise MismatchError(f"a chunk of document {_shown(document)} lacks a part")
    sums = sums_of(document, chunks)
    stated = connection.execute("SELECT chunks, vectors FROM document_sums WHERE document = ?", (number,)).fetchone()
    sql = "SELECT chunk, sum FROM chunk_sums WHERE chunk IN (SELECT id FROM chunks WHERE document = ?)"
    texts = dict(connection.execute(sql, (number,)).fetchall())
    if stated != (signed(sums.chunks), signed(sums.vectors)) or texts != {chunk.number: chunk.sum(document) for chunk in chunks}:
        raise MismatchError(f"a chunk of document {_shown(document)} does not fit its checksum")
    return document, chunks, sums


def _shown(document: DocumentRow) -> str:
    return repr(document.doc_id.decode("utf-8", "replace")[:100])
