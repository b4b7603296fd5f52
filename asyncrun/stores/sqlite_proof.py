"""Whether a file of the SQLite store is whole: SQLite's own check of its pages, and every checksum of a collection."""

from __future__ import annotations

import sqlite3

from asyncrun.stores.sqlite_check import garbled
from asyncrun.stores.sqlite_collections import CollectionRow, find_collection
from asyncrun.stores.sqlite_documents import document_numbers, read_document
from asyncrun.stores.sqlite_sums import NO_SUMS, MismatchError
from asyncrun.stores.sqlite_words import check_words


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
