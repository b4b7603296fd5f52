"""The file of the SQLite store: its schema, its migrations, how it is opened, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from asyncrun.errors import AsyncrunError, StorageError, TryLaterError, os_words
from asyncrun.escape import printable
from asyncrun.readonly import address_to_look, can_write
from asyncrun.wal import BUSY_SECONDS, enter_wal

APPLICATION_ID = 0x61737972
"""Says in the file's header that it is a store of asyncrun, so that another program's database is never touched."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE collections (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            fingerprint TEXT NOT NULL,
            dimensions INTEGER NOT NULL,
            revision TEXT NOT NULL
        )""",
        """CREATE TABLE documents (
            id INTEGER PRIMARY KEY,
            collection INTEGER NOT NULL REFERENCES collections (id),
            source TEXT NOT NULL,
            doc_id TEXT NOT NULL,
            mark TEXT NOT NULL,
            metadata TEXT NOT NULL CHECK (json_valid(metadata)),
            UNIQUE (collection, source, doc_id)
        )""",
        """CREATE TABLE chunks (
            id INTEGER PRIMARY KEY,
            document INTEGER NOT NULL REFERENCES documents (id),
            ordinal INTEGER NOT NULL,
            chunk_id TEXT NOT NULL,
            start INTEGER NOT NULL,
            "end" INTEGER NOT NULL,
            text TEXT NOT NULL,
            UNIQUE (document, ordinal)
        )""",
        # Away from the texts: a filter or a keyword search reads no vector, and loading all vectors reads no text.
        "CREATE TABLE vectors (chunk INTEGER PRIMARY KEY REFERENCES chunks (id), vector BLOB NOT NULL)",
    ),
)
"""Statements per version of the schema, oldest first; one that was released is never changed."""


def words_table(collection: int) -> tuple[str, ...]:
    """Return the statements that make a collection's own word index.

    Each collection has one, because BM25 counts how rare a word is among all rows of the table: what other collections hold must not
    change an answer. The view is what the index reads its texts from.
    """
    return (
        f"""CREATE VIEW passages_{collection:d} AS
            SELECT chunks.id AS id, chunks.text AS text FROM documents JOIN chunks ON chunks.document = documents.id
            WHERE documents.collection = {collection:d}""",
        f"""CREATE VIRTUAL TABLE words_{collection:d} USING fts5 (
            text, content = 'passages_{collection:d}', content_rowid = 'id', tokenize = 'porter unicode61'
        )""",
    )


def open_file(path: Path) -> sqlite3.Connection:
    """Open a store's file, made if it is not there, and bring its schema up to date; the caller closes it.

    Raises StorageError for a file that is not a store of ours, and what `reporting` turns into our errors.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _closed_on_error(_connect(path)) as connection:
        _bring_up_to_date(connection, path, MIGRATIONS)
        return connection


def open_existing_file(path: Path) -> sqlite3.Connection | None:
    """Open a store's file as `open_file` does, but make nothing: None where nothing was ever committed.

    Where nothing can be written it can only be read.
    """
    if not path.exists():
        return None
    with _closed_on_error(_connect(path) if can_write(path) else _connect(address_to_look(path), uri=True)) as connection:
        if _is_empty(connection):
            connection.close()
            return None
        _bring_up_to_date(connection, path, MIGRATIONS)
        return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _connect(place: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    # One thread at a time is the port's promise, not one thread for ever.
    connection = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=uri)
    # Ids may be file names that are not UTF-8: they come back as they went in.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogatepass")
    return connection


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT EXISTS (SELECT * FROM sqlite_master)").fetchone()[0]


def _bring_up_to_date(connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]]) -> None:
    if _version(connection, path, len(migrations)) < len(migrations):
        # 8 kB hold five vectors of 384 dimensions with little room lost; it can only be chosen before the first table.
        connection.execute("PRAGMA page_size = 8192")
        enter_wal(connection)
        with transaction(connection, "IMMEDIATE"):
            for statements in migrations[_version(connection, path, len(migrations)) :]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(migrations)}")
    connection.execute("PRAGMA synchronous = FULL")


def _version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """Return the version of the schema, 0 for an empty file; refuse a file that is not ours or newer than we are."""
    if _is_empty(connection):
        return 0
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StorageError(f"{printable(str(path))} is a database of another program", hint="Choose another path for the store.")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        raise StorageError(
            f"{printable(str(path))} was written by a newer asyncrun (schema {version}, this one knows {newest})",
            hint="Upgrade asyncrun, or choose another path for the store.",
        )
    return version


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
    except OSError as error:
        raise StorageError(f"cannot open the store {printable(str(path))}: {os_words(error)}") from error


def _meaning(error: sqlite3.DatabaseError, path: Path) -> AsyncrunError:
    name = getattr(error, "sqlite_errorname", "")
    shown = printable(str(path))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TryLaterError(
            f"another process has been writing to {shown} for {BUSY_SECONDS:.0f} seconds", hint="Run the same command again later."
        )
    if name.startswith("SQLITE_NOTADB"):
        return StorageError(f"{shown} is not a SQLite database", hint="Choose another path for the store, or set the file aside.")
    if name.startswith("SQLITE_CORRUPT"):
        return StorageError(
            f"{shown} is damaged: {error}", hint="Set the file aside and ingest again: finished vectors are not computed again."
        )
    if name.startswith("SQLITE_CANTOPEN"):
        return StorageError(f"cannot open the store {shown}", hint="Check that it is a file and that its folder can be written.")
    if name.startswith("SQLITE_READONLY"):
        return StorageError(f"the store {shown} cannot be written", hint="Make the file and its folder writable.")
    return StorageError(f"the store {shown} failed: {error}")
