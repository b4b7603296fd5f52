"""The ledger's file: its tables, its migrations, and how a connection is opened.

Invariants
1. A row of `batches` is whole or absent: keys, vectors and flags of one answered request, with a checksum over each blob.
2. A vector is reported as done only after the transaction that holds it is committed with `synchronous=FULL`.
3. Keys are unique within a space for readers: of two batches with the same key the newer one counts, of two answers the newer one stays.
4. Texts that are sent are never stored, only the 16 bytes of `records.content_key`; what a model answers is.
5. An answer is reported as done as a vector is; one whose checksum does not fit is as good as absent.

Write order: vectors (`batches`), the job's failures, then the output's rename, then its mark (`outputs`). A kill between two steps repeats
the later one.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncrun.errors import AsyncrunError, DamagedStateError, StorageError, TryLaterError, os_words
from asyncrun.readonly import address_to_look, can_write, copy_hint
from asyncrun.wal import BUSY_SECONDS, enter_wal, is_busy

PAGE_BYTES = 8192
"""Of a new file. Vectors are long: with 4096 they cost a quarter more time; with still larger pages short rows waste too much."""
MIGRATIONS = (
    """
    CREATE TABLE spaces (
        id INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL UNIQUE,
        description TEXT NOT NULL
    );
    CREATE TABLE batches (
        id INTEGER PRIMARY KEY,
        space INTEGER NOT NULL REFERENCES spaces (id),
        count INTEGER NOT NULL,
        dimensions INTEGER NOT NULL,
        keys BLOB NOT NULL,
        keys_sum BLOB NOT NULL,
        vectors BLOB NOT NULL,
        vectors_sum BLOB NOT NULL,
        flags BLOB NOT NULL
    );
    CREATE INDEX batches_by_space ON batches (space);
    CREATE TABLE failures (
        job TEXT NOT NULL,
        item TEXT NOT NULL,
        space TEXT NOT NULL,
        key BLOB NOT NULL,
        file TEXT NOT NULL,
        line INTEGER,
        reason TEXT NOT NULL,
        message TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        PRIMARY KEY (job, item)
    ) WITHOUT ROWID;
    CREATE TABLE outputs (
        path TEXT PRIMARY KEY,
        mark TEXT NOT NULL,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE spending (
        job TEXT PRIMARY KEY,
        tokens INTEGER NOT NULL,
        cost REAL NOT NULL,
        stopped_tokens INTEGER,
        stopped_cost REAL
    ) WITHOUT ROWID;
    CREATE TABLE token_rates (
        fingerprint TEXT PRIMARY KEY,
        bytes INTEGER NOT NULL,
        tokens INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE refreshes (
        job TEXT PRIMARY KEY,
        generation INTEGER NOT NULL,
        since INTEGER NOT NULL,
        jobs TEXT NOT NULL,
        open INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE job_spaces (
        job TEXT PRIMARY KEY,
        description TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE places (
        fingerprint TEXT NOT NULL,
        place TEXT NOT NULL,
        PRIMARY KEY (fingerprint, place)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE answers (
        key BLOB PRIMARY KEY,
        answer BLOB NOT NULL,
        answer_sum BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    # Of the few batches with flags: in `batches` they stand behind the vectors, which would all be read to get there.
    """
    CREATE TABLE flagged (
        batch INTEGER PRIMARY KEY,
        flags BLOB NOT NULL
    );
    INSERT INTO flagged SELECT id, flags FROM batches WHERE flags != zeroblob(length(flags));
    """,
    # Of answers that an older version wrote it is not known.
    "ALTER TABLE answers ADD COLUMN space INTEGER REFERENCES spaces (id)",
    # Numbered as batches are: a refresh counts what was answered since it was opened, in the place of what was answered before.
    """
    CREATE TABLE numbered_answers (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        answer BLOB NOT NULL,
        answer_sum BLOB NOT NULL,
        space INTEGER REFERENCES spaces (id)
    );
    INSERT INTO numbered_answers (key, answer, answer_sum, space) SELECT key, answer, answer_sum, space FROM answers;
    DROP TABLE answers;
    ALTER TABLE numbered_answers RENAME TO answers;
    ALTER TABLE refreshes ADD COLUMN answers_since INTEGER NOT NULL DEFAULT 0;
    UPDATE refreshes SET answers_since = (SELECT coalesce(max(id), 0) FROM answers);
    """,
)
"""One script a version: database version n has the first n scripts applied."""


def checksum(blob: bytes | memoryview) -> bytes:
    """Return the 8 bytes that stand beside a blob in its row.

    SQLite's own integrity check sees neither a flipped byte in the log nor zeros inside a blob, so each blob carries its own.
    """
    return hashlib.blake2b(blob, digest_size=8).digest()


def open_connection(path: Path) -> sqlite3.Connection:
    """Open the ledger at `path`, made and migrated as needed.

    Raises StorageError when it cannot be opened, DamagedStateError when it is no ledger or one of a newer version.
    """
    try:
        # Not opened with O_NOFOLLOW: closing a file that SQLite has open drops its locks (sqlite.org/howtocorrupt.html, 2.2).
        if path.is_symlink():
            raise OSError("it is a symbolic link")
        if not path.exists():
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"cannot open the ledger {path}: {os_words(error)}", hint="Make its folder writable, or choose another with --state-dir."
        ) from error
    with _closed_unless_it_serves(connection, path):
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        enter_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")
        migrate(connection, path)
    return connection


def open_to_look(path: Path) -> sqlite3.Connection:
    """Open the ledger at `path` for one who changes nothing: as `open_connection` does, and only to read where nothing can be written.

    Raises as that does, and StorageError where reading would need writing.
    """
    if can_write(path):
        return open_connection(path)
    address = address_to_look(path)
    try:
        connection = sqlite3.connect(address, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
    except sqlite3.Error as error:
        raise StorageError(f"cannot open the ledger {path}: {error}", hint="Look as the user who runs the jobs.") from error
    with _closed_unless_it_serves(connection, path):
        _check_version(connection, path)
    return connection


@contextmanager
def _closed_unless_it_serves(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Close a connection whose first use fails, and say what SQLite's error means."""
    try:
        yield
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise explained(error, path) from error
        raise


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection, path)
    if version < len(MIGRATIONS):
        raise StorageError(
            f"the ledger {path} has the form of an older asyncrun (version {version}, this one reads {len(MIGRATIONS)}) and cannot be"
            " changed where nothing can be written",
            hint=copy_hint(path),
        )


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise DamagedStateError(
            f"the ledger {path} was written by a newer asyncrun (version {version}, this one reads up to {len(MIGRATIONS)})",
            hint="Upgrade asyncrun, or use another --state-dir.",
        )
    return version


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the scripts that are missing; a script and its record are one transaction. Where none is, nobody who writes is waited for."""
    if _version(connection, path) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection, path)
        for number in range(version, len(MIGRATIONS)):
            for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def newest_id(connection: sqlite3.Connection, table: str) -> int:
    """Return the number of the newest batch or answer, 0 when there is none."""
    [(newest,)] = connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchall()
    return int(newest)


def lower_since(connection: sqlite3.Connection) -> None:
    """Have open refreshes see what comes after the newest batches or answers were removed: numbers that they had are given again."""
    for column, table in (("since", "batches"), ("answers_since", "answers")):
        connection.execute(f"UPDATE refreshes SET {column} = min({column}, ?)", (newest_id(connection, table),))


def is_damage(error: BaseException) -> bool:
    """Tell whether it is SQLite's word for a damaged file; what it says of a statement, a row or the disk is no damage."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def removed(path: Path) -> StorageError:
    """Return the error for a ledger that was in use when its file went away."""
    return StorageError(
        f"the ledger {path} was removed or replaced while it was in use: what was finished may not be in it",
        hint="Leave it alone during a run. Put it back if you can, and run the same command again: what is not in it is sent again.",
    )


def explained(error: sqlite3.DatabaseError, path: Path) -> AsyncrunError:
    """Return what an error of SQLite means: a file that is damaged, the disk's trouble, or a mistake of ours."""
    if is_damage(error):
        return DamagedStateError(
            f"the ledger {path} cannot be read: {error}",
            hint="`asyncrun run` sets it aside and keeps what is whole: only what is lost is sent again.",
        )
    if isinstance(error, sqlite3.OperationalError):
        if not path.exists():
            return removed(path)
        if is_busy(error):
            return TryLaterError(f"another process has been writing to the ledger {path} for {BUSY_SECONDS:.0f} seconds")
        return StorageError(f"cannot use the ledger {path}: {error}", hint="Check the disk and the folder's permissions.")
    return AsyncrunError(
        f"internal error: SQLite refuses what was asked of the ledger {path}: {error}",
        hint="This is a bug. Nothing that was finished is lost. Run again with --debug and report what it shows.",
    )
