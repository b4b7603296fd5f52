"""The ledger's file: its tables, its migrations, and how a connection is opened.

Invariants
1. A row of `batches` is whole or absent: keys, vectors and flags of one answered request. Its checksums bind them to its number and space.
2. A vector is reported as done only after the transaction that holds it is committed with `synchronous=FULL`.
3. Keys are unique within a space for readers: of two batches with the same key the newer one counts, of two answers the newer one stays.
4. Texts that are sent are never stored, only the 16 bytes of `records.content_key`; what a model answers is.
5. An answer is reported as done as a vector is; one whose checksum does not fit is as good as absent, as is every row that ends with `sum`.
6. The number of a space in a row is only how it is found: what is read is believed where its checksum fits the space's fingerprint.

Write order: vectors (`batches`), the job's failures, then the output's rename, then its mark (`outputs`). A kill between two steps repeats
the later one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncrun.errors import AsyncrunError, DamagedStateError, StorageError, TryLaterError, os_words
from asyncrun.ledger.sums import add_functions, lossy_text
from asyncrun.readonly import address_to_look, can_write, copy_hint
from asyncrun.sqlite_wal import BUSY_SECONDS, enter_wal, is_busy, is_damage

PAGE_BYTES = 8192
"""Of a new file. Vectors are long: with 4096 they cost a quarter more time; with still larger pages short rows waste too much."""
MENDED_BY_A_RUN = "`asyncrun run` sets it aside and keeps what is whole: only what is lost is sent again."
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
    # Checksums were those of the blobs alone. What they do not fit stays so.
    """
    UPDATE batches SET (keys_sum, vectors_sum) = (
        SELECT new, iif(checksum(vectors) = vectors_sum, vectors_sum(new, count, vectors), vectors_sum)
        FROM (SELECT keys_sum(batches.id, fingerprint, dimensions, keys, flags) AS new FROM spaces WHERE id = space)
    ) WHERE keys_sum = checksum(keys) AND space IN (SELECT id FROM spaces);
    UPDATE answers SET answer_sum = answer_sum(id, key, answer) WHERE answer_sum = checksum(answer);
    ALTER TABLE failures ADD COLUMN sum BLOB NOT NULL DEFAULT x'';
    UPDATE failures SET sum = row_sum(job, item, space, key, file, line, reason, message, attempts);
    ALTER TABLE spending ADD COLUMN sum BLOB NOT NULL DEFAULT x'';
    UPDATE spending SET sum = row_sum(job, tokens, cost, stopped_tokens, stopped_cost);
    ALTER TABLE token_rates ADD COLUMN sum BLOB NOT NULL DEFAULT x'';
    UPDATE token_rates SET sum = row_sum(fingerprint, bytes, tokens);
    ALTER TABLE refreshes ADD COLUMN sum BLOB NOT NULL DEFAULT x'';
    UPDATE refreshes SET sum = row_sum(job, generation, since, jobs, open, answers_since);
    ALTER TABLE job_spaces ADD COLUMN sum BLOB NOT NULL DEFAULT x'';
    UPDATE job_spaces SET sum = row_sum(job, description);
    ALTER TABLE places ADD COLUMN sum BLOB NOT NULL DEFAULT x'';
    UPDATE places SET sum = row_sum(fingerprint, place);
    """,
)
"""One script a version: database version n has the first n scripts applied."""


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
    connection.text_factory = lossy_text
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
    connection.text_factory = lossy_text
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
        if isinstance(error, UnicodeDecodeError):  # of SQLite's own words, in which it quotes what it cannot read
            raise DamagedStateError(
                f"the ledger {path} cannot be read: the names of its tables are damaged", hint=MENDED_BY_A_RUN
            ) from error
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
    if not 0 <= version <= len(MIGRATIONS):
        raise DamagedStateError(
            f"the ledger {path} was written by a newer asyncrun (version {version}, this one reads up to {len(MIGRATIONS)})",
            hint="Upgrade asyncrun, or use another --state-dir.",
        )
    return version


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the scripts that are missing; a script and its record are one transaction. Where none is, nobody who writes is waited for."""
    add_functions(connection)
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
    except BaseException as error:
        # A full disk may have rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:  # a script that fails does not fit the tables
            raise DamagedStateError(f"the ledger {path} has not the tables of its version: {error}", hint=MENDED_BY_A_RUN) from error
        raise


def newest_id(connection: sqlite3.Connection, table: str) -> int:
    """Return the number of the newest batch or answer, 0 when there is none."""
    [(newest,)] = connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchall()
    return int(newest)


def lower_since(connection: sqlite3.Connection) -> None:
    """Have open refreshes see what comes after the newest batches or answers were removed: numbers that they had are given again."""
    connection.execute(
        "UPDATE refreshes SET (since, answers_since, sum) ="
        " (SELECT b, a, row_sum(job, generation, b, jobs, open, a) FROM (SELECT min(since, ?) AS b, min(answers_since, ?) AS a))"
        " WHERE sum = row_sum(job, generation, since, jobs, open, answers_since)",
        [newest_id(connection, table) for table in ("batches", "answers")],
    )


def removed(path: Path) -> StorageError:
    """Return the error for a ledger that was in use when its file went away."""
    return StorageError(
        f"the ledger {path} was removed or replaced while it was in use: what was finished may not be in it",
        hint="Leave it alone during a run. Put it back if you can, and run the same command again: what is not in it is sent again.",
    )


def explained(error: sqlite3.DatabaseError, path: Path) -> AsyncrunError:
    """Return what an error of SQLite means: a file that is damaged, the disk's trouble, or a mistake of ours."""
    if is_damage(error):
        return DamagedStateError(f"the ledger {path} cannot be read: {error}", hint=MENDED_BY_A_RUN)
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
