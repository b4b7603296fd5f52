"""SQLite files that several processes open and write at once: their write-ahead log, how long one waits, and what an error is about."""

from __future__ import annotations

import sqlite3
import time

BUSY_SECONDS = 30.0
"""How long one who writes waits for another: longer than any transaction of ours."""

_PAUSE = 0.005


def primary_code(error: BaseException | None) -> int:
    """Return the primary code of an error of SQLite, without what it adds to it (sqlite.org/rescode.html); 0 for any other error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Tell whether SQLite refuses something because another process holds the file."""
    return primary_code(error) == sqlite3.SQLITE_BUSY


def is_damage(error: BaseException) -> bool:
    """Tell whether it is SQLite's word for a damaged file; what it says of a statement, a row or the disk is no damage."""
    return primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def enter_wal(connection: sqlite3.Connection) -> None:
    """Have a database keep a write-ahead log, waiting up to BUSY_SECONDS for others who open it at the same time. Blocks.

    SQLite waits for nobody here: who has read the file and asks for all of it is refused at once, lest two of them wait for each other
    (sqlite3BtreeBeginTrans in SQLite's btree.c calls the busy handler only outside of a transaction).

    Raises sqlite3.OperationalError.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= end:
                raise
            time.sleep(_PAUSE)
        else:
            return
