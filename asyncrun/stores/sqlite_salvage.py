"""Copying what is whole out of a damaged file of the SQLite store."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import replace

import numpy as np

from asyncrun.records import Chunk
from asyncrun.stores.interface import Collection, StoredDocument
from asyncrun.stores.sqlite_check import garbled
from asyncrun.stores.sqlite_collections import CollectionRow, find_collection, insert_collection, salvaged_collections, save_collection
from asyncrun.stores.sqlite_documents import ChunkRow, DocumentRow, read_document, read_head
from asyncrun.stores.sqlite_file import transaction
from asyncrun.stores.sqlite_rows import insert_document
from asyncrun.stores.sqlite_sums import NO_SUMS, MismatchError, mixed
from asyncrun.stores.sqlite_words import words_sum

UNREADABLE = (MismatchError, sqlite3.DatabaseError, UnicodeDecodeError)
_DOCUMENTS_AT_ONCE = 100


def copy_whole(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """Put every document that is what was put in into a new file; returns how many are known to be lost.

    A collection that lost documents says so, by their sources, until those have been put in again.
    """
    collections: list[CollectionRow] = []
    with suppress(*UNREADABLE):
        collections = salvaged_collections(old)
    return sum(_copy_collection(old, new, collection) for collection in collections)


def _copy_collection(old: sqlite3.Connection, new: sqlite3.Connection, collection: CollectionRow) -> int:
    with transaction(new, "IMMEDIATE"):
        made = insert_collection(new, Collection(collection.name, collection.fingerprint, collection.dimensions))
    # What the table may have lost, its index has: no single damage hits both.
    indexed = _values(old, "SELECT id, source FROM documents INDEXED BY sqlite_autoindex_documents_1 WHERE collection = ?", collection)
    stored = _values(old, "SELECT id, source FROM documents NOT INDEXED WHERE collection = ?", collection)
    numbers, seen, sums = sorted({**stored, **indexed}), 0, NO_SUMS
    lost: dict[int, str | None] = {}
    for start in range(0, len(numbers), _DOCUMENTS_AT_ONCE):
        with transaction(new, "IMMEDIATE"):
            for number in numbers[start : start + _DOCUMENTS_AT_ONCE]:
                lost[number] = indexed.get(number)
                with suppress(*UNREADABLE):
                    head = read_head(old, number)
                    lost[number] = _text(head.source)
                    seen = (seen + mixed(head.number, head.sum)) % (1 << 64)
                    document = _stored(*read_document(old, number)[:2], collection)
                    sums += insert_document(new, made, lost.pop(number) or "", document)
    lacking = {*collection.lacking, *(source for source in lost.values() if source is not None)}
    if None in lost.values() or (not lost and collection.sums != NO_SUMS and seen != collection.sums.documents):
        lacking |= {*indexed.values(), *stored.values()}
    with transaction(new, "IMMEDIATE"):
        whole = find_collection(new, collection.name) or made
        save_collection(new, replace(whole, sums=sums, words=words_sum(new, made.number), lacking=tuple(sorted(lacking))))
    return len(lost)


def _values(connection: sqlite3.Connection, sql: str, collection: CollectionRow) -> dict[int, str]:
    """Return the sources of documents by number, as far as they can be read."""
    found = {}
    with suppress(*UNREADABLE):
        for number, source in connection.execute(sql, (collection.number,)):
            found[number] = source  # noqa: PERF403 - what was read before it breaks counts
    return found


def _stored(head: DocumentRow, chunks: list[ChunkRow], collection: CollectionRow) -> StoredDocument:
    with garbled("a document"):
        vectors = np.frombuffer(b"".join(chunk.vector for chunk in chunks), dtype="<f4").reshape(len(chunks), collection.dimensions)
        texts = [Chunk(_text(chunk.text), chunk.start, chunk.end, chunk.ordinal) for chunk in chunks]
        return StoredDocument(_text(head.doc_id), _text(head.mark), texts, vectors, json.loads(_text(head.metadata)))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")
