"""A damaged ledger: found at the start of a run, set aside, its whole rows copied into a new one.

Order: the new file is written and synced under another name, then the damaged one steps aside, then the new one takes its place. A kill
in between is made up for at the next start.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncrun.errors import DamagedStateError
from asyncrun.ledger.pages import rows_of_pages
from asyncrun.ledger.schema import PAGE_BYTES, checksum, explained, is_damage, lower_since, open_connection
from asyncrun.plural import counted

_LOGS = ("-wal", "-shm")
_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_BATCH_COLUMNS, _ANSWER_COLUMNS, _SPACE_COLUMNS = 9, 5, 3
_INDEXED = (
    "batches INDEXED BY batches_by_space",
    "spaces INDEXED BY sqlite_autoindex_spaces_1",
    "answers INDEXED BY sqlite_autoindex_answers_1",
)
_NEWER = (
    "ON CONFLICT (key) DO UPDATE SET id = excluded.id, answer = excluded.answer, answer_sum = excluded.answer_sum, space = excluded.space"
    " WHERE excluded.id > id"
)
"""Of a key that stands on two pages the older answer was replaced, and its page not yet written over."""
_ROW = "id, space, count, dimensions, keys, keys_sum, vectors, vectors_sum, flags"


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What became of a damaged ledger: what was kept, how many batches were lost, and where the old file is."""

    vectors: int
    batches: int
    answers: int
    lost: int
    aside: Path

    def __str__(self) -> str:
        kept = f"{counted(self.vectors, 'vector')} and {counted(self.answers, 'answer')} were kept"
        lost = (
            f"{self.lost:,} {'batch was' if self.lost == 1 else 'batches were'} lost, so that their items are sent again"
            if self.lost
            else "no batch is known to be lost"
        )
        return f"the ledger was damaged and is set aside as {self.aside.name}: {kept}, {lost}"


def mend(path: Path, alone: Callable[[], object]) -> Salvaged | None:
    """Make sure that the ledger at `path` can be read: None if it can. Blocks.

    `alone` is called before anything is changed and raises unless nobody else uses the ledger.
    Raises StorageError, and DamagedStateError for a ledger of a newer version, which is left as it is.
    """
    new, request = _beside(path, ".salvaged"), _request(path)
    if not path.exists() and new.exists():
        _move(new, path)
    if not path.exists() or not (request.exists() or _is_damaged(path)):
        return None
    alone()
    for leftover in (new, *_logs(new)):
        leftover.unlink(missing_ok=True)
    try:
        batches, vectors, answers, lost = _copy(path, new)
    except sqlite3.DatabaseError as error:
        raise explained(error, new) from error
    aside = _beside(path, ".damaged")
    _move(path, aside)
    _move(new, path)
    request.unlink(missing_ok=True)
    return Salvaged(vectors, batches, answers, lost, aside)


def ask_to_mend(path: Path) -> None:
    """Have the next start mend the ledger at `path`. Blocks."""
    with suppress(OSError):  # a disk that takes no file more; the ledger's own trouble is told all the same
        _request(path).touch(mode=0o600)


def _request(path: Path) -> Path:
    return _beside(path, ".mend")


def _is_damaged(path: Path) -> bool:
    """Tell whether SQLite cannot read the file's tables; what stands in the blobs is checked by whoever reads them."""
    try:
        with closing(open_connection(path)) as connection:
            for tree in (*(f"{table} NOT INDEXED" for table in _tables(connection)), *_INDEXED):
                connection.execute(f"SELECT count(*) FROM {tree}").fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise explained(error, path) from error
        return True
    except DamagedStateError as error:
        if not isinstance(error.__cause__, sqlite3.DatabaseError):
            raise
        return True
    return False


def _copy(damaged: Path, new: Path) -> tuple[int, int, int, int]:
    """Copy what is whole. Returns how many batches, vectors and answers were kept, and how many batches were lost."""
    with closing(open_connection(new)) as target, closing(sqlite3.connect(damaged, isolation_level=None)) as source:
        source.execute("PRAGMA writable_schema=ON")  # otherwise SQLite refuses all of a file that is shorter than it says
        source.text_factory = lambda data: data.decode("utf-8", "replace")
        target.execute("BEGIN")
        for table in _tables(target):
            if table != "batches":
                for row in _until_damage(source, f"SELECT * FROM {table}"):
                    _insert(target, table, row)
        batches, vectors, lost = _copy_batches(target, source, damaged)
        [(answers,)] = target.execute("SELECT count(*) FROM answers").fetchall()
        # What depends on what is left: the flags of batches, and since which of them a refresh counts.
        target.execute("DELETE FROM flagged")
        target.execute("INSERT INTO flagged SELECT id, flags FROM batches WHERE flags != zeroblob(length(flags))")
        lower_since(target)
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return batches, vectors, answers, lost


def _copy_batches(target: sqlite3.Connection, source: sqlite3.Connection, damaged: Path) -> tuple[int, int, int]:
    """Copy what SQLite still reads, which knows the log, then what stands on pages that it does not find any more."""
    kept: dict[int, int] = {}
    seen: set[int] = set()
    for row in _until_damage(source, f"SELECT {_ROW} FROM batches"):
        seen.add(row[0])
        if _is_whole(row):
            _insert(target, "batches", row)
            kept[row[0]] = row[2]
    for row in rows_of_pages(damaged, _page_bytes(damaged)):
        if len(row) == _BATCH_COLUMNS + 1:
            batch = (row[0], *row[2:])
            seen.add(row[0])
            if row[0] not in kept and _is_whole(batch):
                _insert(target, "batches", batch)
                kept[row[0]] = batch[2]
        elif len(row) == _ANSWER_COLUMNS + 1 and _is_answer(row):
            _insert(target, "answers", (row[0], *row[2:]), _NEWER)
        elif len(row) == _SPACE_COLUMNS + 1 and isinstance(row[2], bytes) and isinstance(row[3], bytes):
            # Without its name a space is lost with all its vectors. A row of another table that looks like one does no harm.
            _insert(target, "spaces", (row[0], row[2].decode("utf-8", "replace"), row[3].decode("utf-8", "replace")))
    named = _until_damage(source, "SELECT id, fingerprint, '' FROM spaces INDEXED BY sqlite_autoindex_spaces_1")
    for row in named:
        _insert(target, "spaces", row)
    return len(kept), sum(kept.values()), len(seen - kept.keys())


def _is_answer(row: tuple[Any, ...]) -> bool:
    """Tell whether a row of a page is a whole answer: id, nothing, key, answer, its checksum, space."""
    return isinstance(row[2], bytes) and isinstance(row[3], bytes) and checksum(row[3]) == row[4]


def _insert(target: sqlite3.Connection, table: str, row: tuple[Any, ...], conflict: str = "ON CONFLICT DO NOTHING") -> None:
    try:
        target.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))}) {conflict}", row)
    except sqlite3.DatabaseError as error:
        # A row of an older version, or one that makes no sense, is left out; a disk that is full leaves out nothing in silence.
        if error.sqlite_errorcode & 0xFF in _DISK:
            raise


def _tables(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _page_bytes(path: Path) -> int:
    """Return the size of the file's pages as its first one says, that of a new file where it makes no sense."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:], "big")
    size = 65536 if size == 1 else size
    return size if size >= 512 and size & (size - 1) == 0 else PAGE_BYTES


def _until_damage(source: sqlite3.Connection, statement: str) -> Iterator[tuple[Any, ...]]:
    with suppress(sqlite3.DatabaseError):
        yield from source.execute(statement)


def _is_whole(row: tuple[Any, ...]) -> bool:
    _, _, count, dimensions, keys, keys_sum, vectors, vectors_sum, flags = row
    try:
        sizes = (len(keys), len(vectors), len(flags)) == (count * 16, count * dimensions * 4, count)
        return sizes and (checksum(keys), checksum(vectors)) == (keys_sum, vectors_sum)
    except TypeError:
        return False


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _logs(path: Path) -> list[Path]:
    return [_beside(path, ending) for ending in _LOGS]


def _move(path: Path, target: Path) -> None:
    for log in _logs(target):
        log.unlink(missing_ok=True)
    for source, place in zip(_logs(path), _logs(target), strict=True):
        if source.exists():
            source.replace(place)
    path.replace(target)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
