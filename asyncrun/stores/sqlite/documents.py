"""Documents as bytes with their checksums: put into the SQLite store and deleted; the caller holds the transaction."""

from __future__ import annotations

import datetime
import json
import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any
from zlib import crc32

from asyncrun.errors import StorageError
from asyncrun.escape import printable
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.sqlite.checksums import NO_SUMS, MismatchError, Sums, chunk_sum, document_sum, mixed, name_sum, row_crc, signed
from asyncrun.stores.sqlite.collections import CollectionRow, as_text
from asyncrun.stores.sqlite.filter_sql import json_path

_SURROGATE = re.compile("[\ud800-\udfff]")


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


def dump_metadata(metadata: Mapping[str, Any]) -> str:
    r"""Return metadata as one line of JSON: dates in ISO 8601, numbers that are not finite as null (JSON has no word for them).

    Characters stand as themselves, for databases that compare keys byte by byte; lone surrogates (parts of file names that are not
    UTF-8) are escaped, because UTF-8 cannot carry them.

    >>> dump_metadata({"größe": float("nan"), "name": "\udcff"})
    '{"größe":null,"name":"\\udcff"}'

    Raises TypeError, ValueError or RecursionError for what has no JSON form.
    """
    try:
        text = _dump(metadata)
    except ValueError:
        text = _dump(_finite(metadata))
    return _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
