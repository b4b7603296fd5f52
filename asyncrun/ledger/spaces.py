"""The spaces of a ledger as a whole: how large each is, and removing those that nobody needs."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from asyncrun.ledger.schema import explained, open_connection
from asyncrun.records import SpaceSize


def space_sizes(path: Path) -> list[SpaceSize]:
    """Return the spaces of a ledger, the largest first. Blocks. Raises StorageError and DamagedStateError."""
    statement = (
        "SELECT fingerprint, description, coalesce(v.count, 0), coalesce(v.bytes, 0) + coalesce(a.bytes, 0) AS size, coalesce(a.count, 0)"
        " FROM spaces LEFT JOIN (SELECT space, sum(count) AS count, sum(length(keys) + length(vectors) + length(flags)) AS bytes"
        " FROM batches GROUP BY space) v ON v.space = spaces.id LEFT JOIN (SELECT space, count(*) AS count,"
        " sum(length(key) + length(answer)) AS bytes FROM answers GROUP BY space) a ON a.space = spaces.id ORDER BY size DESC, fingerprint"
    )
    with closing(open_connection(path)) as connection:
        try:
            return [SpaceSize(*row) for row in connection.execute(statement)]
        except sqlite3.DatabaseError as error:
            raise explained(error, path) from error


def remove_spaces(path: Path, fingerprints: Collection[str]) -> None:
    """Remove spaces with their vectors and answers and make the file smaller; nobody else may use the ledger. Blocks.

    A disk that is too full to make the file smaller is no error: its room is used again. Raises StorageError and DamagedStateError.
    """
    with closing(open_connection(path)) as connection:
        try:
            _remove(connection, fingerprints)
            _shrink(connection)
        except sqlite3.DatabaseError as error:
            raise explained(error, path) from error


def _remove(connection: sqlite3.Connection, fingerprints: Collection[str]) -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for fingerprint in fingerprints:
            for table in ("batches", "answers"):
                connection.execute(f"DELETE FROM {table} WHERE space = (SELECT id FROM spaces WHERE fingerprint = ?)", (fingerprint,))
            connection.execute("DELETE FROM spaces WHERE fingerprint = ?", (fingerprint,))
        connection.execute("DELETE FROM flagged WHERE batch NOT IN (SELECT id FROM batches)")
        # Numbers of batches are given again when the newest are gone; what comes must not seem older than a refresh that goes on.
        connection.execute("UPDATE refreshes SET since = min(since, (SELECT coalesce(max(id), 0) FROM batches))")


def _shrink(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
            raise
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
