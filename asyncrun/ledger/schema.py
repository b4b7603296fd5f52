"""The ledger's tables and their migrations; what holds at every instant.

Invariants
1. A row of `batches` is whole or absent: keys, vectors and flags of one answered request. Its checksums bind them to its number and space.
2. A vector is reported as done only after the transaction that holds it is committed with `synchronous=FULL`.
3. Keys are unique within a space for readers: of two batches with the same key the newer one counts, of two answers the newer one stays.
4. Texts that are sent are never stored, only the 16 bytes of `records.text_key`; what a model answers is.
5. An answer is reported as done as a vector is; one whose checksum does not fit is as good as absent, as is every row that ends with `sum`.
6. The number of a space in a row is only how it is found: what is read is believed where its checksum fits the space's fingerprint.

Write order: vectors (`batches`), the job's failures, then the output's rename, then its mark (`outputs`). A kill between two steps repeats
the later one.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from asyncrun.errors import DamagedStateError
from asyncrun.ledger.checksums import add_functions

FLOAT_BYTES = 4
"""Of each number of a vector."""
REPAIRED_BY_A_RUN = "`asyncrun run` sets it aside and keeps what is whole: only what is lost is sent again."
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
    # What waits at a provider: written before it is submitted, so that a kill at any moment leaves a row that says what may be there.
    """
    CREATE TABLE provider_batches (
        tag TEXT PRIMARY KEY,
        job TEXT NOT NULL,
        space TEXT NOT NULL,
        generation INTEGER NOT NULL,
        provider TEXT NOT NULL,
        host TEXT NOT NULL,
        model TEXT NOT NULL,
        purpose TEXT NOT NULL,
        state TEXT NOT NULL,
        file TEXT,
        batch TEXT,
        created REAL NOT NULL,
        requests INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        cost REAL NOT NULL,
        failures TEXT NOT NULL,
        keys BLOB NOT NULL,
        sum BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
)
"""One script a version: database version n has the first n scripts applied."""


def ledger_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the file. Raises DamagedStateError for one of a newer asyncrun."""
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
    if ledger_version(connection, path) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = ledger_version(connection, path)
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
            raise DamagedStateError(f"the ledger {path} has not the tables of its version: {error}", hint=REPAIRED_BY_A_RUN) from error
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
