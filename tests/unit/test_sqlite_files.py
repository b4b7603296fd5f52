"""A database that several processes open at once gets its write-ahead log from one of them, and the others wait for that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from asyncrun.sqlite_files import BUSY_SECONDS, enter_wal, is_busy


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def other(tmp_path: Path, mine: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_another_one_that_is_changing_the_file_is_waited_for(
    mine: sqlite3.Connection, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: other.execute("COMMIT"))
    enter_wal(mine)
    assert mine.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_one_that_never_ends_is_waited_for_as_long_as_a_writer_waits(
    mine: sqlite3.Connection, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(sqlite3.OperationalError, match="database is locked") as refused:
        enter_wal(mine)
    assert is_busy(refused.value)
    assert next(seconds) == BUSY_SECONDS + 1


def test_what_is_no_database_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but long enough to have a header" * 10)
    with closing(sqlite3.connect(tmp_path / "text")) as connection, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        enter_wal(connection)
