"""Reading from the SQLite store only what is what was put in: documents, chunks, a collection, a whole file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from asyncrun.stores.sqlite.checksums import (
    NO_SUMS,
    MismatchError,
    Sums,
    chunk_sum,
    document_sum,
    garbled,
    mixed,
    numbers,
    row_crc,
    signed,
    total,
)
from asyncrun.stores.sqlite.collections import CollectionRow, check_words, find_collection, from_bytes
from asyncrun.stores.sqlite.documents import ChunkRow, DocumentRow, document_numbers, find_chunks, find_head, sums_of
from asyncrun.stores.sqlite.filter_sql import Condition


def read_head(connection: sqlite3.Connection, number: int) -> DocumentRow:
    """Return a document's own row. Raises MismatchError when it is not what was put in."""
    document = find_head(connection, number)
    stated = connection.execute("SELECT row, chunks, vectors, sum FROM document_sums WHERE document = ?", (number,)).fetchone()
    if None in (document.source, document.doc_id, document.mark, document.metadata) or stated is None:
        raise MismatchError("a document lacks a part")
    if stated[0] != document.sum or stated[3] != row_crc(number, *stated[:3]):
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


class StoredChunk(NamedTuple):
    """A chunk with what its document says; chunks are ordered by `place`; `metadata` are the document's and the chunk's, as JSON."""

    place: tuple[bytes, bytes]
    chunk_id: str
    doc_id: str
    text: str
    metadata: tuple[str, ...]
    start: int
    end: int


def passing_documents(connection: sqlite3.Connection, collection: CollectionRow, condition: Condition) -> list[int]:
    """Return the numbers of the documents that pass a filter. Raises MismatchError when any document is not what was put in."""
    sql = f"""SELECT {condition.sql}, id, collection, CAST(source AS BLOB), CAST(doc_id AS BLOB), CAST(mark AS BLOB), CAST(metadata AS BLOB)
              FROM documents WHERE collection = ?"""
    with garbled("a document"):
        rows = connection.execute(sql, (*condition.parameters, collection.number)).fetchall()
        found = total(mixed(numbers([row[1] for row in rows]), numbers([document_sum(*row[1:]) for row in rows])))
    if found != collection.sums.documents:
        raise MismatchError(f"the documents of collection {collection.name!r} do not fit their checksum")
    return [row[1] for row in rows if row[0]]


def read_chunks(connection: sqlite3.Connection, wanted: Sequence[int]) -> dict[int, StoredChunk]:
    """Return chunks by their numbers. Raises MismatchError when one is not what was put in, or not there."""
    sql = """
        SELECT chunks.id, document, ordinal, CAST(chunk_id AS BLOB), start, "end", CAST(text AS BLOB),
            CAST(source AS BLOB), CAST(doc_id AS BLOB), CAST(documents.metadata AS BLOB), CAST(own.metadata AS BLOB), sum
        FROM chunks JOIN documents ON documents.id = document JOIN chunk_sums ON chunk_sums.chunk = chunks.id
            LEFT JOIN chunk_metadata AS own ON own.chunk = chunks.id
        WHERE chunks.id IN (SELECT value FROM json_each(?))"""
    found = {}
    with garbled("a text"):
        for row in connection.execute(sql, (json.dumps(wanted),)).fetchall():
            number, document, ordinal, chunk_id, start, end, text, source, doc_id, about, own, stated = row
            metadata = (about,) if own is None else (about, own)
            if chunk_sum(f"{number} {document} {ordinal} {start} {end}", chunk_id, text, source, doc_id, *metadata) != stated:
                raise MismatchError(f"chunk {chunk_id.decode('utf-8', 'replace')[:100]!r} does not fit its checksum")
            found[number] = StoredChunk(
                (chunk_id, source), from_bytes(chunk_id), from_bytes(doc_id), from_bytes(text), (*map(from_bytes, metadata),), start, end
            )
    if len(found) < len(set(wanted)):
        raise MismatchError("a chunk that a search found is not there")
    return found


def prove_file(connection: sqlite3.Connection) -> None:
    """Have SQLite look through its pages and indexes. Raises MismatchError and sqlite3.DatabaseError."""
    [(answer,)] = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if answer != "ok":
        raise MismatchError(str(answer).replace("\n", " "))


def prove_collection(connection: sqlite3.Connection, name: str) -> CollectionRow | None:
    """Read a collection with all that belongs to it; None when it is not there. Raises MismatchError and sqlite3.DatabaseError."""
    collection = find_collection(connection, name)
    if collection is None:
        return None
    sums = NO_SUMS
    with garbled("a document"):
        for number in document_numbers(connection, collection.number):
            sums += read_document(connection, number)[2]
    if sums != collection.sums:
        raise MismatchError(f"documents of collection {name!r} are missing")
    check_words(connection, collection)
    return collection
