"""SQLite files that several processes open and write at once: their write-ahead log, and how long one waits for another."""

from __future__ import annotations

import sqlite3
import time

BUSY_SECONDS = 30.0
"""How long one who writes waits for another: longer than any transaction of ours."""

_PAUSE = 0.005


def enter_wal(connection: sqlite3.Connection, patience: float = BUSY_SECONDS) -> None:
    """Have a database keep a write-ahead log, waiting up to `patience` seconds for others who open it at the same time. Blocks.

    SQLite waits for nobody here: who has read the file and asks for all of it is refused at once, lest two of them wait for each other
    (sqlite3BtreeBeginTrans in SQLite's btree.c calls the busy handler only outside of a transaction).

    Raises sqlite3.OperationalError.
    """
    end = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
            time.sleep(_PAUSE)
        else:
            return
