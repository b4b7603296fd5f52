"""Repair of the SQLite store's file: what is whole goes into a new one, which takes the former one's place in one step."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from asyncrun.errors import DamagedStoreError, TryLaterError
from asyncrun.escape import printable
from asyncrun.humanize import counted
from asyncrun.process_locks import hold_folder
from asyncrun.sqlite_files import LOG_ENDINGS, primary_code
from asyncrun.stores.committing import DOCUMENTS_AT_ONCE
from asyncrun.stores.interface import Collection
from asyncrun.stores.sqlite.checksums import NO_SUMS, MismatchError, mixed
from asyncrun.stores.sqlite.collections import (
    CollectionRow,
    find_collection,
    from_bytes,
    insert_collection,
    salvaged_collections,
    save_collection,
    seal_words,
    words_sum,
)
from asyncrun.stores.sqlite.documents import as_put_in, insert_documents
from asyncrun.stores.sqlite.file import connect, open_existing_file, open_file, reporting, transaction
from asyncrun.stores.sqlite.proof import prove_collection, prove_file, read_document, read_head

UNREADABLE = (MismatchError, sqlite3.DatabaseError, UnicodeDecodeError)


def copy_whole(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """Put every document that is what was put in into a new file; returns how many are known to be lost.

    A collection that lost documents says so, by their sources, until those have been put in again.
    """
    collections: list[CollectionRow] = []
    with suppress(*UNREADABLE):
        collections = salvaged_collections(old)
    return sum(_copy_collection(old, new, collection) for collection in collections)


def _copy_collection(old: sqlite3.Connection, new: sqlite3.Connection, collection: CollectionRow) -> int:
    with transaction(new, "IMMEDIATE"):
        made = insert_collection(new, Collection(collection.name, collection.fingerprint, collection.dimensions))
    # What the table may have lost, its index has: no single damage hits both.
    indexed = _values(old, "SELECT id, source FROM documents INDEXED BY sqlite_autoindex_documents_1 WHERE collection = ?", collection)
    stored = _values(old, "SELECT id, source FROM documents NOT INDEXED WHERE collection = ?", collection)
    numbers, seen, sums = sorted({**stored, **indexed}), 0, NO_SUMS
    lost: dict[int, str | None] = {}
    for start in range(0, len(numbers), DOCUMENTS_AT_ONCE):
        with transaction(new, "IMMEDIATE"):
            for number in numbers[start : start + DOCUMENTS_AT_ONCE]:
                lost[number] = indexed.get(number)
                with suppress(*UNREADABLE):
                    head = read_head(old, number)
                    lost[number] = from_bytes(head.source)
                    seen = (seen + mixed(head.number, head.sum)) % (1 << 64)
                    document = as_put_in(*read_document(old, number)[:2], collection)
                    sums += insert_documents(new, made, lost.pop(number) or "", [document])
    lacking = {*collection.lacking, *(source for source in lost.values() if source is not None)}
    if None in lost.values() or (not lost and collection.sums != NO_SUMS and seen != collection.sums.documents):
        lacking |= {*indexed.values(), *stored.values()}
    with transaction(new, "IMMEDIATE"):
        whole = find_collection(new, collection.name) or made
        save_collection(new, replace(whole, sums=sums, words=words_sum(new, made.number), lacking=tuple(sorted(lacking))))
    return len(lost)


def _values(connection: sqlite3.Connection, sql: str, collection: CollectionRow) -> dict[int, str]:
    """Return the sources of documents by number, as far as they can be read."""
    found = {}
    with suppress(*UNREADABLE):
        for number, source in connection.execute(sql, (collection.number,)):
            found[number] = source  # noqa: PERF403 - what was read before it breaks counts
    return found


def repair_file(path: Path, collection: str) -> str | None:
    """Prove a file and one of its collections; keep what is whole of a damaged one. Returns what was done, None for nothing.

    The damaged file is kept beside it as `<name>.damaged`. Others who have the file open see the new content with their next transaction;
    what they commit meanwhile is not lost: TryLaterError.
    """
    if _damage(path, collection) is None:
        return None
    with hold_folder(path.parent):
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
            if primary_code(error) not in _NO_WAY_IN:
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
    return [path, *(path.with_name(path.name + ending) for ending in LOG_ENDINGS)]
