"""The collections of the SQLite store: rows with what their documents add up to and the checksum of the word index; renamed and dropped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from asyncrun.errors import UsageError
from asyncrun.stores.interface import Collection
from asyncrun.stores.sqlite.checksums import NO_SUMS, MismatchError, Sums, row_crc, signed
from asyncrun.stores.sqlite.schema import words_table


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection as it stands in the file; `number` is its key.

    `words` is the checksum of its word index, None since the last change until it is sealed. `lacking` names the sources of which
    documents were lost and have not been put in again.
    """

    number: int
    name: str
    fingerprint: str
    dimensions: int
    revision: str
    sums: Sums = NO_SUMS
    words: int | None = None
    lacking: tuple[str, ...] = ()


def as_text(value: str) -> bytes:
    """Return what to bind to `CAST(? AS TEXT)`: a text with lone surrogates cannot be bound itself."""
    return value.encode("utf-8", "surrogatepass")


def from_bytes(raw: bytes) -> str:
    """Return a text that was bound so."""
    return raw.decode("utf-8", "surrogatepass")


def find_collection(connection: sqlite3.Connection, name: str) -> CollectionRow | None:
    """Return a collection, None when it is not there. Raises MismatchError when its record may be one that is damaged."""
    rows = _all_rows(connection)
    found = next((row for row in rows if row is not None and row.name == name), None)
    if found is None and None in rows:
        raise MismatchError(_DAMAGED_RECORD)
    return found


def all_collections(connection: sqlite3.Connection) -> list[CollectionRow]:
    """Return all collections, sorted by name. Raises MismatchError when the record of one is damaged."""
    rows = whole_collections(connection)
    if len(rows) < len(_all_rows(connection)):
        raise MismatchError(_DAMAGED_RECORD)
    return rows


def whole_collections(connection: sqlite3.Connection) -> list[CollectionRow]:
    """Return the collections whose records are what was put in, sorted by name."""
    return sorted((row for row in _all_rows(connection) if row is not None), key=lambda row: row.name)


def salvaged_collections(connection: sqlite3.Connection) -> list[CollectionRow]:
    """Return the collections whose names and spaces are known for sure: by the checksum, or because both copies are the same.

    Where the checksum fits neither, nothing else of the record is known: it has no sums.
    """
    sql = _RECORDS.replace("collections.name, collections.fingerprint, collections.dimensions", _COPIES)
    copies = {row[0]: row for row in connection.execute(sql).fetchall()}
    found = []
    for row in connection.execute(_RECORDS).fetchall():
        copy = copies[row[0]]
        whole = _whole(row) or _whole(copy)
        # Where there is neither of them, they are the same, too.
        if whole is None and None not in row[1:4] and row[1:4] == copy[1:4]:
            whole = CollectionRow(*row[:5])
        found += [] if whole is None else [whole]
    return found


def insert_collection(connection: sqlite3.Connection, collection: Collection) -> CollectionRow:
    """Make a collection and its word index."""
    revision = _new_revision(connection)
    sql = "INSERT INTO collections (name, fingerprint, dimensions, revision) VALUES (CAST(? AS TEXT), ?, ?, ?)"
    row = (as_text(collection.name), collection.fingerprint, collection.dimensions, revision)
    number = connection.execute(sql, row).lastrowid or 0
    for statement in words_table(number):
        connection.execute(statement)
    made = CollectionRow(number, collection.name, collection.fingerprint, collection.dimensions, revision)
    save_collection(connection, made)
    return made


def touch_collection(connection: sqlite3.Connection, collection: CollectionRow, sums: Sums) -> None:
    """Give a collection new sums and a new revision: random, so that a file made anew cannot repeat one that a reader remembers."""
    revision = _new_revision(connection)
    connection.execute("UPDATE collections SET revision = ? WHERE id = ?", (revision, collection.number))
    save_collection(connection, replace(collection, revision=revision, sums=sums, words=None))


def save_collection(connection: sqlite3.Connection, collection: CollectionRow) -> None:
    """Put in the checksums of a collection, in the place of the former ones."""
    stated = (*map(signed, collection.sums.parts), collection.words, json.dumps(collection.lacking))
    identity = (collection.number, collection.name, collection.fingerprint, collection.dimensions, collection.revision)
    copies = (collection.number, as_text(collection.name), collection.fingerprint, collection.dimensions)
    sql = "INSERT OR REPLACE INTO collection_sums VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?, ?)"
    connection.execute(sql, (*copies, *stated, row_crc(*identity, *stated)))


_DAMAGED_RECORD = "the record of a collection does not fit its checksum"


def _new_revision(connection: sqlite3.Connection) -> str:
    return str(connection.execute("SELECT lower(hex(randomblob(8)))").fetchone()[0])


_RECORDS = """
    SELECT id, collections.name, collections.fingerprint, collections.dimensions, revision, documents, chunks, vectors, words, lacking, sum
    FROM collections LEFT JOIN collection_sums ON collection = id"""
_COPIES = "collection_sums.name, collection_sums.fingerprint, collection_sums.dimensions"


def _all_rows(connection: sqlite3.Connection) -> list[CollectionRow | None]:
    """Return all collections; None for one whose record is not what was put in."""
    return [_whole(row) for row in connection.execute(_RECORDS).fetchall()]


def _whole(row: tuple[Any, ...]) -> CollectionRow | None:
    number, name, fingerprint, dimensions, revision, *sums, words, lacking, stated = row
    if row_crc(*row[:-1]) != stated:
        return None
    return CollectionRow(number, name, fingerprint, dimensions, revision, NO_SUMS + Sums(*sums), words, tuple(json.loads(lacking)))


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


def rename_collections(connection: sqlite3.Connection, names: Mapping[str, str]) -> None:
    """Give collections other names, in the transaction of the caller.

    They keep their revisions: each word stands for one content, whatever it is called.

    Raises UsageError where a new name is given twice, or belongs to a collection that keeps it.
    """
    there = {row.name: row for row in whole_collections(connection)}
    new_names = list(names.values())
    for name in new_names:
        if new_names.count(name) > 1 or (name in there and name not in names):
            raise UsageError(f"two collections cannot both be called {name!r}")
    moved = [(there[former], name) for former, name in names.items()]
    for row, _ in moved:
        # Two may change names: none has either of them meanwhile.
        connection.execute("UPDATE collections SET name = CAST(? AS TEXT) WHERE id = ?", (f"\0{row.number}".encode(), row.number))
    for row, name in moved:
        connection.execute("UPDATE collections SET name = CAST(? AS TEXT) WHERE id = ?", (as_text(name), row.number))
        save_collection(connection, replace(row, name=name))


def drop_collection(connection: sqlite3.Connection, collection: CollectionRow) -> None:
    """Delete a collection with all that is in it, in the caller's transaction."""
    documents = "SELECT id FROM documents WHERE collection = :number"
    chunks = f"SELECT id FROM chunks WHERE document IN ({documents})"
    number = {"number": collection.number}
    for table in ("vectors", "chunk_metadata", "chunk_sums"):
        connection.execute(f"DELETE FROM {table} WHERE chunk IN ({chunks})", number)
    for table in ("chunks", "document_sums"):
        connection.execute(f"DELETE FROM {table} WHERE document IN ({documents})", number)
    for table, key in (("documents", "collection"), ("collection_sums", "collection"), ("collections", "id")):
        connection.execute(f"DELETE FROM {table} WHERE {key} = :number", number)
    connection.execute(f"DROP TABLE words_{collection.number:d}")
    connection.execute(f"DROP VIEW passages_{collection.number:d}")
