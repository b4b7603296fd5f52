"""A damaged ledger: found at the start of a run, set aside, its whole rows copied into a new one.

Order: the new file is written and synced under another name, then the damaged one steps aside, then the new one takes its place. A kill
in between is made up for at the next start.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from asyncrun.errors import AsyncrunError, DamagedStateError, StorageError
from asyncrun.humanize import counted
from asyncrun.ledger.checksums import TableRow, answer_sum, checksum, is_whole, lossy_text, with_sum
from asyncrun.ledger.connection import PAGE_BYTES, explained, is_flipped_version, is_sound, open_connection
from asyncrun.ledger.salvaged_rows import Pages, find_spaces, rows_of_pages, until_damage
from asyncrun.ledger.schema import MIGRATIONS, lower_since
from asyncrun.sqlite_files import LOG_ENDINGS, can_write, is_damage, primary_code

_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_BATCH_COLUMNS, _ANSWER_COLUMNS = 9, 5
_BY_THEMSELVES = ("batches", "answers", "spaces", "flagged")
_NEWER = (
    "ON CONFLICT (key) DO UPDATE SET id = excluded.id, answer = excluded.answer, answer_sum = excluded.answer_sum, space = excluded.space"
    " WHERE excluded.id > id"
)
"""Of a key that stands on two pages the older answer was replaced, and its page not yet written over."""
_ROW = "id, space, count, dimensions, keys, keys_sum, vectors, vectors_sum, flags"


@dataclass(frozen=True, slots=True)
class RepairedLedger:
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


def repair_ledger(path: Path, alone: Callable[[], object]) -> RepairedLedger | None:
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
    return RepairedLedger(vectors, batches, answers, lost, aside)


def request_repair(path: Path) -> None:
    """Have the next start repair the ledger at `path`. Blocks."""
    with suppress(OSError):  # a disk that takes no file more; the ledger's own trouble is told all the same
        _request(path).touch(mode=0o600)


def _request(path: Path) -> Path:
    return _beside(path, ".mend")


def _is_damaged(path: Path) -> bool:
    """Tell whether the file cannot be read, or its tables and indexes differ; what stands in the blobs is checked by whoever reads them."""
    cause: BaseException | None
    told: AsyncrunError
    try:
        with closing(open_connection(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")  # refused where the file says that it must not be written
            connection.execute("ROLLBACK")
            return not is_sound(connection)
    except sqlite3.DatabaseError as error:
        cause, told = error, explained(error, path)
    except StorageError as error:
        cause, told = error.__cause__, error
    if isinstance(cause, UnicodeDecodeError):
        damaged = True
    elif isinstance(cause, sqlite3.DatabaseError):
        damaged = _cannot_be_used(cause, path)
    else:
        damaged = isinstance(told, DamagedStateError) and is_flipped_version(path)
    if not damaged:
        raise told from cause
    return True


def _cannot_be_used(error: sqlite3.DatabaseError, path: Path) -> bool:
    """Tell whether SQLite refuses the file for what stands in it: its words for a form that is too new, or for one that is only read."""
    code = primary_code(error)
    return is_damage(error) or code == sqlite3.SQLITE_ERROR or (code == sqlite3.SQLITE_READONLY and can_write(path))


def _copy(damaged: Path, new: Path) -> tuple[int, int, int, int]:
    """Copy what is whole. Returns how many batches, vectors and answers were kept, and how many batches were lost."""
    with closing(open_connection(new)) as target, closing(sqlite3.connect(damaged, isolation_level=None)) as source:
        with suppress(UnicodeDecodeError):
            source.execute("PRAGMA writable_schema=ON")  # otherwise SQLite refuses all of a file that is shorter than it says
        source.text_factory = lossy_text
        target.execute("BEGIN")
        pages = partial(rows_of_pages, damaged, _page_bytes(damaged))
        for table in _tables(target):
            if table not in _BY_THEMSELVES:
                _copy_table(target, source, table)
        batches, vectors, lost = _copy_batches(target, source, pages)
        answers = _copy_answers(target, source, pages)
        # What depends on what is left: the flags of batches, and since which of them a refresh counts.
        target.execute("INSERT INTO flagged SELECT id, flags FROM batches WHERE flags != zeroblob(length(flags))")
        lower_since(target)
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return batches, vectors, answers, lost


def _copy_table(target: sqlite3.Connection, source: sqlite3.Connection, table: str) -> None:
    """Copy the whole rows of a small table; one of a version before there were checksums gets its own."""
    columns = [name for _, name, *_ in target.execute(f"PRAGMA table_info({table})")]
    for row in until_damage(source, f"SELECT * FROM {table}"):
        if columns[-1] != "sum" or (len(row) == len(columns) and is_whole(row)):
            _insert(target, table, row)
        elif len(row) == len(columns) - 1:
            _insert(target, table, with_sum(*row))


def _copy_batches(target: sqlite3.Connection, source: sqlite3.Connection, pages: Pages) -> tuple[int, int, int]:
    """Copy what SQLite still reads, which knows the log, then what stands on pages that it does not find any more."""
    spaces = find_spaces(source, pages)
    kept: dict[int, int] = {}
    seen = {batch for (batch,) in until_damage(source, "SELECT id FROM batches INDEXED BY batches_by_space")}
    found = (row[:1] + row[2:] for row in pages() if len(row) == _BATCH_COLUMNS + 1)
    for row in chain(until_damage(source, f"SELECT {_ROW} FROM batches NOT INDEXED"), found):
        seen.add(row[0])
        if row[0] not in kept and (whole := spaces.whole(row)) is not None:
            _insert(target, "batches", whole)
            kept[row[0]] = whole[2]
    for space in spaces.rows():
        _insert(target, "spaces", space)
    return len(kept), sum(kept.values()), len(seen - kept.keys())


def _copy_answers(target: sqlite3.Connection, source: sqlite3.Connection, pages: Pages) -> int:
    """Copy whole answers, also those on pages that SQLite does not find any more; of two with the same key the newer. Returns how many."""
    found = (row[:1] + row[2:] for row in pages() if len(row) == _ANSWER_COLUMNS + 1)
    for row in chain(until_damage(source, "SELECT * FROM answers NOT INDEXED"), found):
        if len(row) != _ANSWER_COLUMNS:
            continue
        number, key, answer, told, space = row
        if isinstance(key, bytes) and isinstance(answer, bytes) and told in (own := answer_sum(number, key, answer), checksum(answer)):
            _insert(target, "answers", (number, key, answer, own, space), _NEWER)
    [(answers,)] = target.execute("SELECT count(*) FROM answers").fetchall()
    return int(answers)


def _insert(target: sqlite3.Connection, table: str, row: TableRow, conflict: str = "ON CONFLICT DO NOTHING") -> None:
    try:
        target.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))}) {conflict}", row)
    except sqlite3.DatabaseError as error:
        # A row of an older version, or one that makes no sense, is left out; a disk that is full leaves out nothing in silence.
        if primary_code(error) in _DISK:
            raise


def _tables(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _page_bytes(path: Path) -> int:
    """Return the size of the file's pages as its first one says, that of a new file where it makes no sense."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:], "big")
    size = 65536 if size == 1 else size
    return size if size >= 512 and size & (size - 1) == 0 else PAGE_BYTES


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _logs(path: Path) -> list[Path]:
    return [_beside(path, ending) for ending in LOG_ENDINGS]


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
