"""Mending the SQLite store's file: what is whole goes into a new one, which takes the former one's place in one step."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from asyncrun.errors import DamagedStoreError, TryLaterError
from asyncrun.escape import printable
from asyncrun.folder_lock import turn
from asyncrun.plural import counted
from asyncrun.stores.sqlite_collections import find_collection
from asyncrun.stores.sqlite_file import connect, open_existing_file, open_file, reporting, transaction
from asyncrun.stores.sqlite_proof import prove_collection, prove_file
from asyncrun.stores.sqlite_salvage import copy_whole
from asyncrun.stores.sqlite_words import seal_words

_LOGS = ("-wal", "-shm")


def mend_file(path: Path, collection: str) -> str | None:
    """Prove a file and one of its collections; keep what is whole of a damaged one. Returns what was done, None for nothing.

    The damaged file is kept beside it as `<name>.damaged`. Others who have the file open see the new content with their next transaction;
    what they commit meanwhile is not lost: TryLaterError.
    """
    if _damage(path, collection) is None:
        return None
    with turn(path.parent):
        damage = _damage(path, collection)
        if damage is None:
            return None
        lost = _replace(path)
    kept = "nothing of it could be read" if lost is None else f"all was kept but {counted(lost, 'document')}" if lost else "all was kept"
    return f"{damage.message}. It is set aside as {printable(path.name)}.damaged: {kept}"


def _damage(path: Path, collection: str) -> DamagedStoreError | None:
    try:
        with reporting(path):
            connection = open_existing_file(path)
            if connection is None:
                return None
            with closing(connection):
                with transaction(connection, "DEFERRED"):
                    prove_file(connection)
                    found = prove_collection(connection, collection)
                if found is not None and found.words is None:
                    with transaction(connection, "IMMEDIATE"):
                        seal_words(connection, find_collection(connection, collection) or found)
    except DamagedStoreError as error:
        return error
    return None


def _replace(path: Path) -> int | None:
    """Put a new file in the place of a damaged one; returns how many documents are known to be lost, None when nothing could be read."""
    new_path, aside = (path.with_name(path.name + ending) for ending in (".mending", ".damaged"))
    for file in _with_logs(new_path) + _with_logs(aside):
        file.unlink(missing_ok=True)
    with reporting(path), closing(open_file(new_path)) as new:
        try:
            lost: int | None = _salvage(path, new, aside)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _NO_WAY_IN:
                raise
            lost = None
            new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            new_path.chmod(stat.S_IMODE(path.stat().st_mode))
            for file, former in zip(_with_logs(path), _with_logs(aside), strict=True):
                if file.exists():
                    file.replace(former)
            new_path.replace(path)
    for file in _with_logs(new_path):
        file.unlink(missing_ok=True)
    return lost


_NO_WAY_IN = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)
"""What SQLite says of a file with a damaged header, which nobody else can use either."""


def _salvage(path: Path, new: sqlite3.Connection, aside: Path) -> int:
    with closing(connect(path)) as old, closing(connect(aside)) as copy:
        before = _version(old)
        with transaction(old, "DEFERRED"):
            lost = copy_whole(old, new)
        old.backup(copy)
        _copy_over(new, path, lambda: _version(old) == before)
    return lost


def _copy_over(new: sqlite3.Connection, path: Path, unchanged: Callable[[], bool]) -> None:
    """Write one file's pages over another's, in one transaction; `unchanged` is asked when nobody else can write any more."""

    def look(_status: int, remaining: int, total: int) -> None:
        if total - remaining == 4 and not unchanged():
            raise TryLaterError(f"another process has written to {printable(str(path))} while it was mended")

    with closing(connect(path)) as former:
        new.backup(former, pages=4, progress=look)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _with_logs(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + ending) for ending in _LOGS)]
