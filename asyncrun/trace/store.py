"""`traces.db`: runs and their spans, readable while a run is being written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from asyncrun.errors import DamagedStateError, StorageError, os_words
from asyncrun.sqlite_files import BUSY_SECONDS, address_to_look, can_write, enter_wal, is_damage, primary_code
from asyncrun.trace.run_record import RUNNING, RunRecord, Span

FORMAT = 2
"""The store's `PRAGMA user_version`."""

SpanRow = tuple[Any, ...]

# `id` counts a run's spans as they come, so that rows are appended; a parent comes before its children.
_SCHEMA = f"""
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, started REAL NOT NULL, ended REAL, status TEXT NOT NULL,
    exit_code INTEGER, seconds REAL, job_file TEXT, version TEXT NOT NULL, host TEXT NOT NULL, summary BLOB NOT NULL,
    seen REAL NOT NULL, lost INTEGER NOT NULL, settings BLOB NOT NULL DEFAULT x'7b7d', job_file_hash TEXT
) STRICT;
CREATE TABLE spans (
    run INTEGER NOT NULL REFERENCES runs, id INTEGER NOT NULL, parent INTEGER, type TEXT NOT NULL, name TEXT NOT NULL,
    start REAL NOT NULL, "end" REAL, status TEXT NOT NULL, attributes BLOB, PRIMARY KEY (run, id)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""
_MIGRATIONS = {
    0: _SCHEMA,
    1: """
    ALTER TABLE runs ADD COLUMN settings BLOB NOT NULL DEFAULT x'7b7d';
    ALTER TABLE runs ADD COLUMN job_file_hash TEXT;
    PRAGMA user_version = 2;
    """,
}
"""What makes the next version, or the newest, out of this one."""
_RUN_COLUMNS = "run_id, started, ended, status, exit_code, seconds, job_file, version, host, summary, seen, lost"
_LATER_COLUMNS = "settings, job_file_hash"
_BEFORE_THEM = "x'7b7d', NULL"


class TraceStore:
    """The runs of a state folder. SQLite in WAL mode: one process reads while another writes, and a kill leaves it whole.

    Args:
        path: the file. For writing it is made if it is not there, for its owner only (0600).
        read_only: whether to read only; a file that is not there then holds no runs.

    Raises DamagedStateError for a file that is not a store, StorageError for one of a newer version, and both from every
    method when the disk says so.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        with self._errors("open"):
            self._connection = self._open_to_read() if read_only else self._open_to_write()
        try:
            with self._errors("open"):
                self._prepare(read_only)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> TraceStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._connection.close()

    def add_run(self, run: RunRecord) -> int | None:
        """Record that a run has begun and return its number here; None when its id is taken."""
        values = (
            *(run.run_id, run.started, run.ended, run.status, run.exit_code, run.seconds, run.job_file, run.version, run.host),
            *(orjson.dumps(run.summary), run.seen, run.lost, orjson.dumps(run.settings), run.job_file_hash),
        )
        with self._errors("write"), self._transaction():
            sql = f"INSERT INTO runs ({_RUN_COLUMNS}, {_LATER_COLUMNS}) VALUES ({', '.join('?' * len(values))}) ON CONFLICT DO NOTHING"
            cursor = self._connection.execute(sql, values)
            return cursor.lastrowid if cursor.rowcount else None

    def end_run(self, number: int, run: RunRecord) -> None:
        """Record how a run ended, which is its last sign of life as well."""
        sql = """UPDATE runs SET ended = ?, status = ?, exit_code = ?, seconds = ?, summary = ?, lost = ?, seen = ? WHERE run = ?"""
        values = (run.ended, run.status, run.exit_code, run.seconds, orjson.dumps(run.summary), run.lost, run.ended, number)
        with self._errors("write"), self._transaction():
            self._connection.execute(sql, values)

    def write_spans(
        self,
        number: int,
        rows: Iterable[SpanRow],
        *,
        seen: float,
        lost: int,
        gone: Iterable[int] = (),
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Write spans of a run, new ones or again with their end, and remove those that are `gone`, in one transaction.

        A row is (id, parent, type, name, start, end, status, attributes as JSON or None). `summary` is what the run has done so far,
        None where that is as before.
        """
        with self._errors("write"), self._transaction():
            self._connection.executemany(f"INSERT OR REPLACE INTO spans VALUES ({number}, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._connection.executemany(f"DELETE FROM spans WHERE run = {number} AND id = ?", [(span,) for span in gone])
            values = (seen, lost, None if summary is None else orjson.dumps(summary), number)
            known = self._connection.execute("UPDATE runs SET seen = ?, lost = ?, summary = coalesce(?, summary) WHERE run = ?", values)
            if not known.rowcount:
                raise StorageError(f"{self.path} does not hold the run any more")

    def runs(self) -> list[RunRecord]:
        """Return all runs, the earliest first."""
        return self._select("ORDER BY started, run")

    def _select(self, which: str, *values: str | int | None) -> list[RunRecord]:
        # A store of the first version that is only read stays as it is.
        columns = f"{_RUN_COLUMNS}, {_LATER_COLUMNS if self._pragma('user_version') > 1 else _BEFORE_THEM}"
        with self._errors("read"):
            return [_run(row) for row in self._connection.execute(f"SELECT {columns} FROM runs {which}", values).fetchall()]

    def run(self, run_id: str) -> RunRecord | None:
        """Return one run, None where there is none of this id."""
        return next(iter(self._select("WHERE run_id = ?", run_id)), None)

    def latest(
        self, count: int, skip: int = 0, *, job_files: Sequence[str | None] | None = None, before: str | None = None
    ) -> list[RunRecord]:
        """Return so many runs, the one that was recorded last first, without reading the others: a list of thousands is shown in parts.

        `job_files` are the only ones that count, as runs name them; of a run `before` only those that were recorded before it.
        """
        wanted = None if job_files is None else [name or "" for name in job_files]
        where = ["(? IS NULL OR run < (SELECT run FROM runs WHERE run_id = ?))"]
        if wanted is not None:
            where.append(f"coalesce(job_file, '') IN ({', '.join('?' * len(wanted))})")
        sql = f"WHERE {' AND '.join(where)} ORDER BY run DESC LIMIT ? OFFSET ?"
        return self._select(sql, before, before, *(wanted or ()), count, skip)

    def counts(self) -> dict[str | None, int]:
        """Return how many runs there are of each job file, as runs name it."""
        with self._errors("read"):
            return dict(self._connection.execute("SELECT job_file, count(*) FROM runs GROUP BY job_file").fetchall())

    def ends(self) -> tuple[int | None, int | None]:
        """Return the numbers of the first and the last run: as long as they are the same, so is the list, but for what runs say."""
        with self._errors("read"):
            first, last = self._connection.execute("SELECT (SELECT min(run) FROM runs), (SELECT max(run) FROM runs)").fetchone()
            return first, last

    def spans(self, run_id: str) -> list[Span]:
        """Return the spans of a run by their start: a parent comes before its children."""
        sql = """SELECT id, parent, type, name, start, "end", spans.status, attributes FROM spans JOIN runs USING (run)
                 WHERE run_id = ? ORDER BY start, id"""
        with self._errors("read"):
            return [span_of(run_id, row) for row in self._connection.execute(sql, (run_id,))]

    def size(self) -> int:
        """Return how many bytes of the file hold something; what was removed leaves room for what comes."""
        pages, free, size = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size

    def prune(self, *, now: float, before: float | None = None, max_size: int | None = None, spare: str | None = None) -> int:
        """Remove runs that began before a time, and the earliest while the store is larger than `max_size` bytes.

        The latest run, the one with the id `spare`, and runs that give signs of life at `now` (seconds since 1970) stay. Returns how
        many were removed.
        """
        removed = 0
        for run in self.removable(now=now, spare=spare):
            old = before is not None and run.started < before
            if old or (max_size is not None and self.size() > max_size):
                self.remove(run.run_id)
                removed += 1
        if removed and self._pragma("freelist_count") * 2 >= self._pragma("page_count"):
            self.shrink()
        return removed

    def removable(self, *, now: float, spare: str | None = None) -> list[RunRecord]:
        """Return the runs that `prune` may remove, the earliest first."""
        with self._errors("read"):
            # Its number must not be given again: whoever writes it may be alive after all, when the clock has jumped.
            latest = self._connection.execute("SELECT run_id FROM runs ORDER BY run DESC LIMIT 1").fetchone() or ("",)
        return [run for run in self.runs() if run.status_at(now) != RUNNING and run.run_id not in (spare, *latest)]

    def remove(self, run_id: str) -> None:
        """Remove a run with its spans."""
        with self._errors("write"), self._transaction():
            self._connection.execute("DELETE FROM spans WHERE run = (SELECT run FROM runs WHERE run_id = ?)", (run_id,))
            self._connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))

    def _pragma(self, name: str) -> int:
        with self._errors("read"):
            return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def shrink(self) -> None:
        """Make the file as small as what it holds; not while another run is writing, which needs no waiting for."""
        with self._errors("write"):
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                self._connection.execute("VACUUM")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError as error:
                if primary_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL):
                    raise
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")

    def _open_to_write(self) -> sqlite3.Connection:
        # Made before SQLite sees it, because SQLite follows the umask; its -wal and -shm files take over the mode.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _open_to_read(self) -> sqlite3.Connection:
        if not self.path.exists():
            return sqlite3.connect(":memory:", isolation_level=None)
        address = f"{self.path.absolute().as_uri()}?mode=ro" if can_write(self.path) else address_to_look(self.path)
        return sqlite3.connect(address, timeout=BUSY_SECONDS, isolation_level=None, uri=True)

    def _prepare(self, read_only: bool) -> None:
        [found] = self._connection.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            raise StorageError(
                f"{self.path} was written by a newer asyncrun (its format is {found}, this one knows {FORMAT})",
                hint=f"Upgrade asyncrun, or set {self.path.name} aside: it holds nothing but the record of past runs.",
            )
        if read_only:
            if found == 0:
                # Nothing was ever written here: the file is missing, or a kill came before the first commit.
                self._connection.close()
                self._connection = sqlite3.connect(":memory:", isolation_level=None)
                self._connection.executescript(_SCHEMA)
            return
        enter_wal(self._connection)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            # Looked up again: another run may have done it meanwhile. All steps are one transaction.
            while (version := self._connection.execute("PRAGMA user_version").fetchone()[0]) in _MIGRATIONS:
                for statement in filter(str.strip, _MIGRATIONS[version].split(";")):
                    self._connection.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk may have rolled back already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, orjson.JSONDecodeError) as error:
            if isinstance(error, orjson.JSONDecodeError) or is_damage(error):
                raise DamagedStateError(
                    f"{self.path} is not a whole trace store: {error}",
                    hint=f"Set {self.path.name} aside (mv {self.path.name} {self.path.name}.bad): it holds only the record of past runs.",
                ) from error
            raise StorageError(
                f"cannot {doing} {self.path}: {os_words(error)}",
                hint="Be the user whose file it is, or let this one read and write it and its folder." if _is_forbidden(error) else None,
            ) from error


def span_of(run_id: str, row: SpanRow) -> Span:
    """Return the span that is written as this row."""
    number, parent, kind, name, start, end, status, attributes = row
    return Span(run_id, number, parent, kind, name, start, end, status, orjson.loads(attributes) if attributes else {})


def _run(row: SpanRow) -> RunRecord:
    named = dict(zip(f"{_RUN_COLUMNS}, {_LATER_COLUMNS}".split(", "), row, strict=True))
    return RunRecord(**named | {name: orjson.loads(named[name]) for name in ("summary", "settings")})


def _is_forbidden(error: BaseException) -> bool:
    forbidden = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY)
    return isinstance(error, PermissionError) or primary_code(error) in forbidden
