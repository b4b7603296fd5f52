"""The file of the SQLite store: how it is opened and brought up to date, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncrun.errors import AsyncrunError, DamagedStoreError, StorageError, TryLaterError, os_words
from asyncrun.escape import printable
from asyncrun.sqlite_files import BUSY_SECONDS, address_to_look, can_write, copy_hint, enter_wal, primary_code
from asyncrun.stores.sqlite.checksums import NO_SUMS, MismatchError
from asyncrun.stores.sqlite.collections import CollectionRow, from_bytes, save_collection
from asyncrun.stores.sqlite.documents import document_numbers, find_chunks, find_head, insert_sums
from asyncrun.stores.sqlite.schema import APPLICATION_ID, SCHEMA_VERSIONS, is_begun, schema_version


def open_file(path: Path) -> sqlite3.Connection:
    """Open a store's file, made if it is not there, and bring its schema up to date; the caller closes it.

    Raises StorageError for a file that is not a store of ours, and what `reporting` turns into our errors.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _closed_on_error(connect(path)) as connection:
        _bring_up_to_date(connection, path)
        return connection


def open_existing_file(path: Path) -> sqlite3.Connection | None:
    """Open a store's file as `open_file` does, but make nothing: None where nothing was ever committed.

    Where nothing can be written it can only be read.
    """
    if not path.exists():
        return None
    with _closed_on_error(connect(path) if can_write(path) else connect(address_to_look(path), uri=True)) as connection:
        if not is_begun(connection):
            connection.close()
            return None
        _bring_up_to_date(connection, path)
        return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def connect(place: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    """Open a file as it is."""
    # One thread at a time is the port's promise, not one thread for ever.
    connection = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=uri)
    # Ids may be file names that are not UTF-8: they come back as they went in.
    connection.text_factory = from_bytes
    return connection


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    with transaction(connection, "DEFERRED"):
        version = schema_version(connection, path)
    if version < len(SCHEMA_VERSIONS):
        if not can_write(path):
            raise StorageError(f"{printable(str(path))} has the form of an older asyncrun and cannot be changed", hint=copy_hint(path))
        # 8 kB hold five vectors of 384 dimensions with little room lost; it can only be chosen before the first table.
        connection.execute("PRAGMA page_size = 8192")
        enter_wal(connection)
        with transaction(connection, "IMMEDIATE"):
            version = schema_version(connection, path)
            for statements in SCHEMA_VERSIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            if version == 1:
                add_sums(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(SCHEMA_VERSIONS)}")
    connection.execute("PRAGMA synchronous = FULL")


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """Commit at the end, roll back on an error. `kind`: IMMEDIATE to write, DEFERRED to read one state of the file."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors (a full disk).
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the file system into ours; what is a mistake of the program stays what it is."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.DatabaseError as error:
        raise _meaning(error, path) from error
    except (MismatchError, UnicodeDecodeError) as error:
        raise DamagedStoreError(f"the store {printable(str(path))} is damaged: {os_words(error)}") from error
    except OSError as error:
        raise StorageError(f"cannot open the store {printable(str(path))}: {os_words(error)}") from error


def _meaning(error: sqlite3.DatabaseError, path: Path) -> AsyncrunError:
    code = primary_code(error)
    shown = printable(str(path))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return TryLaterError(
            f"another process has been writing to {shown} for {BUSY_SECONDS:.0f} seconds", hint="Run the same command again later."
        )
    if code == sqlite3.SQLITE_NOTADB and not _has_our_id(path):
        return StorageError(f"{shown} is not a SQLite database", hint="Choose another path for the store, or set the file aside.")
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(_TOO_MUCH):
        return StorageError(f"the store {shown} cannot answer: {error}", hint="Make the filter shorter.")
    if code in _DAMAGE or (code == sqlite3.SQLITE_READONLY and can_write(path)):
        return DamagedStoreError(f"the store {shown} is damaged: {error}")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StorageError(f"cannot open the store {shown}", hint="Check that it is a file and that its folder can be written.")
    if code == sqlite3.SQLITE_READONLY:
        return StorageError(f"the store {shown} cannot be written", hint="Make the file and its folder writable.")
    return StorageError(f"the store {shown} failed: {error}")


_DAMAGE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    # What a statement of ours is refused for when the file is not what it was: a lost column, a broken word index, JSON that is none.
    sqlite3.SQLITE_ERROR,
)


_TOO_MUCH = ("too many", "Expression tree", "parser stack")
"""How SQLite begins to refuse a statement that is too large for it, however whole the file is."""


def _has_our_id(path: Path) -> bool:
    """Tell whether a file that SQLite cannot read is one of ours; its header holds the id at 68 (sqlite.org/fileformat2.html)."""
    with path.open("rb") as file:
        return file.read(72)[68:] == APPLICATION_ID.to_bytes(4, "big")


def add_sums(connection: sqlite3.Connection) -> None:
    """Put in the checksums of all that is there; the caller holds the transaction."""
    rows = connection.execute("SELECT id, name, fingerprint, dimensions, revision FROM collections").fetchall()
    for collection, name, fingerprint, dimensions, revision in rows:
        sums = NO_SUMS
        for number in document_numbers(connection, collection):
            sums += insert_sums(connection, find_head(connection, number), find_chunks(connection, number))
        save_collection(connection, CollectionRow(collection, name, fingerprint, dimensions, revision, sums))
