"""Proving what a search of the SQLite store reads of all documents, and reading chunks that are what was put in."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from asyncrun.stores.sqlite_collections import CollectionRow
from asyncrun.stores.sqlite_filter import Condition
from asyncrun.stores.sqlite_sums import MismatchError, chunk_sum, document_sum, mixed, numbers, total


class StoredChunk(NamedTuple):
    """A chunk with what its document says; chunks are ordered by `place`, `metadata` is JSON."""

    place: tuple[bytes, bytes]
    chunk_id: str
    doc_id: str
    text: str
    metadata: str
    start: int
    end: int


@contextmanager
def garbled(what: str) -> Iterator[None]:
    """Raise MismatchError for values that are not of the type that was put in."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise MismatchError(f"{what} cannot be what was put in") from error


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
            CAST(source AS BLOB), CAST(doc_id AS BLOB), CAST(metadata AS BLOB), sum
        FROM chunks JOIN documents ON documents.id = document JOIN chunk_sums ON chunk = chunks.id
        WHERE chunks.id IN (SELECT value FROM json_each(?))"""
    found = {}
    with garbled("a text"):
        for row in connection.execute(sql, (json.dumps(wanted),)).fetchall():
            number, document, ordinal, chunk_id, start, end, text, source, doc_id, metadata, stated = row
            if chunk_sum(f"{number} {document} {ordinal} {start} {end}", chunk_id, text, source, doc_id, metadata) != stated:
                raise MismatchError(f"chunk {chunk_id.decode('utf-8', 'replace')[:100]!r} does not fit its checksum")
            found[number] = StoredChunk((chunk_id, source), _text(chunk_id), _text(doc_id), _text(text), _text(metadata), start, end)
    if len(found) < len(set(wanted)):
        raise MismatchError("a chunk that a search found is not there")
    return found


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")
