"""Bringing a file of the SQLite store without checksums up to date: what stands in it is taken as it is, once."""

from __future__ import annotations

import sqlite3

from asyncrun.stores.sqlite_collections import CollectionRow, save_collection
from asyncrun.stores.sqlite_documents import document_numbers, find_chunks, find_head, insert_sums
from asyncrun.stores.sqlite_sums import NO_SUMS


def add_sums(connection: sqlite3.Connection) -> None:
    """Put in the checksums of all that is there; the caller holds the transaction."""
    rows = connection.execute("SELECT id, name, fingerprint, dimensions, revision FROM collections").fetchall()
    for collection, name, fingerprint, dimensions, revision in rows:
        sums = NO_SUMS
        for number in document_numbers(connection, collection):
            sums += insert_sums(connection, find_head(connection, number), find_chunks(connection, number))
        save_collection(connection, CollectionRow(collection, name, fingerprint, dimensions, revision, sums))
