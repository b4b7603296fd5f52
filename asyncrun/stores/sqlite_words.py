"""The word index of a collection, proved: by the checksum that its last writer left, or by its own look at all texts."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from zlib import crc32

from asyncrun.stores.sqlite_collections import CollectionRow, save_collection
from asyncrun.stores.sqlite_sums import MismatchError


def words_sum(connection: sqlite3.Connection, number: int) -> int:
    """Return the checksum of all that the word index of a collection consists of."""
    table = f"words_{number:d}"
    total = 0
    for page, block in connection.execute(f"SELECT id, CAST(block AS BLOB) FROM {table}_data ORDER BY id"):
        total = crc32(block or b"", crc32(f"{page}".encode(), total))
    for sql in (
        f"SELECT segid, CAST(term AS BLOB), pgno FROM {table}_idx ORDER BY segid, term",
        f"SELECT k, v FROM {table}_config ORDER BY k",
        f"SELECT group_concat(id || ':' || hex(sz)) FROM (SELECT id, sz FROM {table}_docsize ORDER BY id)",
    ):
        total = crc32(repr(connection.execute(sql).fetchall()).encode(), total)
    return total


def check_words(connection: sqlite3.Connection, collection: CollectionRow) -> None:
    """Raise MismatchError for a sealed word index that is not as it was left; the one of a writer that has not ended is not looked at."""
    if collection.words is not None and words_sum(connection, collection.number) != collection.words:
        raise MismatchError(f"the word index of collection {collection.name!r} does not fit its checksum")


def _look_through(connection: sqlite3.Connection, collection: CollectionRow) -> None:
    """Have the word index compare itself with all texts (sqlite.org/fts5.html, "The integrity-check Command")."""
    table = f"words_{collection.number:d}"
    connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")


def seal_words(connection: sqlite3.Connection, collection: CollectionRow, done: str | None = None) -> None:
    """Leave the checksum of a collection's word index; documents of the source `done` are not lacking any more.

    An index that was changed since it was sealed is looked through first. The caller holds a transaction that may write.
    Raises sqlite3.DatabaseError when the index does not fit the texts.
    """
    lacking = tuple(source for source in collection.lacking if source != done)
    if collection.words is None:
        _look_through(connection, collection)
    save_collection(connection, replace(collection, words=words_sum(connection, collection.number), lacking=lacking))
