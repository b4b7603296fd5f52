"""The trace store: private, readable while it is written, whole after a kill, and clear about what it is not."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import asyncrun.trace.store as store_module
from asyncrun.errors import AsyncrunError, DamagedStateError, StorageError
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.store import FORMAT, TraceStore

RUN = RunRecord("20261124-021500-4f2a", 10.0, None, "running", None, None, "jobs.yaml", "0.1.0", "here", {}, 10.0)
ROWS = [
    (1, None, "async_job", "notes", 10.0, None, "running", None),
    (2, 1, "embedding", "", 10.5, 11.0, "succeeded", b'{"tokens":3}'),
]
SPANS = [
    Span(RUN.run_id, 1, None, "async_job", "notes", 10.0, None, "running"),
    Span(RUN.run_id, 2, 1, "embedding", "", 10.5, 11.0, "succeeded", {"tokens": 3}),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.db"


def filled(path: Path) -> None:
    with TraceStore(path) as store:
        store.write_spans(store.add_run(RUN) or 0, ROWS, seen=11.0, lost=2)


def test_what_was_written_is_read(path: Path) -> None:
    filled(path)
    with TraceStore(path, read_only=True) as store:
        [run] = store.runs()
        assert (run.run_id, run.ended, run.seen, run.lost, run.job_file) == (RUN.run_id, None, 11.0, 2, "jobs.yaml")
        assert store.spans(RUN.run_id) == SPANS
        assert store.spans("another") == []


def test_a_span_is_written_again_with_its_end(path: Path) -> None:
    with TraceStore(path) as store:
        number = store.add_run(RUN) or 0
        store.write_spans(number, ROWS, seen=11.0, lost=0)
        store.write_spans(number, [(1, None, "async_job", "notes", 10.0, 12.0, "succeeded", None)], seen=12.0, lost=0)
        assert [(span.id, span.end) for span in store.spans(RUN.run_id)] == [(1, 12.0), (2, 11.0)]


def test_an_ended_run_says_how(path: Path) -> None:
    with TraceStore(path) as store:
        store.end_run(
            store.add_run(RUN) or 0, replace(RUN, ended=12.0, status="partial", exit_code=3, seconds=2.0, summary={"items": 5}, lost=1)
        )
        [run] = store.runs()
    assert (run.ended, run.status, run.exit_code, run.seconds, run.summary, run.lost) == (12.0, "partial", 3, 2.0, {"items": 5}, 1)


def test_an_id_is_given_once(path: Path) -> None:
    with TraceStore(path) as store:
        assert store.add_run(RUN) is not None
        assert store.add_run(RUN) is None
        assert len(store.runs()) == 1


def test_it_is_read_while_it_is_written(path: Path) -> None:
    with TraceStore(path) as writer:
        number = writer.add_run(RUN) or 0
        with TraceStore(path, read_only=True) as reader:
            assert reader.spans(RUN.run_id) == []
            writer.write_spans(number, ROWS, seen=11.0, lost=0)
            assert reader.spans(RUN.run_id) == SPANS


def test_two_runs_write_side_by_side(path: Path) -> None:
    with TraceStore(path) as one, TraceStore(path) as two:
        numbers = [one.add_run(RUN) or 0, two.add_run(RunRecord("other", 11.0, None, "running", None, None, None, "1", "here")) or 0]
        one.write_spans(numbers[0], ROWS, seen=11.0, lost=0)
        two.write_spans(numbers[1], ROWS[:1], seen=11.0, lost=0)
        assert [len(one.spans(run.run_id)) for run in one.runs()] == [2, 1]


def test_what_a_kill_leaves_is_whole(path: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    with TraceStore(path) as store:
        store.write_spans(store.add_run(RUN) or 0, ROWS, seen=11.0, lost=0)
        # A kill leaves the file and its log as they are, without the index of the log.
        shutil.copy(path, left / "traces.db")
        shutil.copy(path.with_name("traces.db-wal"), left / "traces.db-wal")
    with TraceStore(left / "traces.db", read_only=True) as store:
        assert store.spans(RUN.run_id) == SPANS


def test_its_files_are_for_the_owner_only(path: Path) -> None:
    path.touch(0o644)
    with TraceStore(path) as store:
        store.add_run(RUN)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"traces.db": 0o600, "traces.db-wal": 0o600, "traces.db-shm": 0o600}


def test_a_link_in_its_place_is_refused(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(StorageError, match=r"cannot open .*traces\.db"):
        TraceStore(path)
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_missing_store_holds_no_runs_and_is_not_made(path: Path) -> None:
    with TraceStore(path, read_only=True) as store:
        assert store.runs() == []
    assert not path.exists()


def test_an_empty_file_holds_no_runs(path: Path) -> None:
    path.touch()
    with TraceStore(path, read_only=True) as store:
        assert store.runs() == []


@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_of_a_newer_version_is_refused(path: Path, read_only: bool) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="newer asyncrun") as caught:
        TraceStore(path, read_only=read_only)
    assert "Upgrade" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_no_database_is_refused(path: Path, read_only: bool) -> None:
    path.write_text("not a database, but long enough to be looked at " * 20)
    with pytest.raises(DamagedStateError, match=r"traces\.db is not a whole trace store") as caught:
        TraceStore(path, read_only=read_only)
    assert "aside" in caught.value.hint


def test_a_truncated_store_is_named(path: Path) -> None:
    with TraceStore(path) as store:
        number = store.add_run(RUN) or 0
        store.write_spans(number, [(n, None, "embedding", "x" * 100, 1.0, 2.0, "ok", None) for n in range(2000)], seen=1.0, lost=0)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedStateError, match=r"traces\.db"), TraceStore(path, read_only=True) as store:
        store.spans(RUN.run_id)


def test_a_summary_that_is_no_json_is_named(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET summary = x'00'")
    with TraceStore(path, read_only=True) as store, pytest.raises(DamagedStateError):
        store.runs()


FIRST_FORMAT = """
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, started REAL NOT NULL, ended REAL, status TEXT NOT NULL,
    exit_code INTEGER, seconds REAL, job_file TEXT, version TEXT NOT NULL, host TEXT NOT NULL, summary BLOB NOT NULL,
    seen REAL NOT NULL, lost INTEGER NOT NULL
) STRICT;
CREATE TABLE spans (
    run INTEGER NOT NULL REFERENCES runs, id INTEGER NOT NULL, parent INTEGER, type TEXT NOT NULL, name TEXT NOT NULL,
    start REAL NOT NULL, "end" REAL, status TEXT NOT NULL, attributes BLOB, PRIMARY KEY (run, id)
) STRICT, WITHOUT ROWID;
INSERT INTO runs VALUES (1, '20261124-021500-4f2a', 10, NULL, 'running', NULL, NULL, 'jobs.yaml', '0.1.0', 'here', x'7b7d', 11, 2);
INSERT INTO spans VALUES (1, 1, NULL, 'async_job', 'notes', 10, NULL, 'running', NULL);
INSERT INTO spans VALUES (1, 2, 1, 'embedding', '', 10.5, 11, 'succeeded', x'7b22746f6b656e73223a337d');
PRAGMA user_version = 1;
"""


@pytest.fixture
def first_format(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_FORMAT)
    return path


def layout(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {table: connection.execute(f"PRAGMA table_info({table})").fetchall() for table in tables}


def test_a_store_of_the_first_version_is_brought_forward(first_format: Path, tmp_path: Path) -> None:
    TraceStore(tmp_path / "fresh.db").close()
    with TraceStore(first_format) as store:
        [run] = store.runs()
        assert (run.run_id, run.settings, run.job_file_hash) == (RUN.run_id, {}, None)
        assert store.spans(RUN.run_id) == SPANS
        store.add_run(replace(RUN, run_id="next", settings={"notes.workers": 4}, job_file_hash="ab"))
        assert [(run.run_id, run.settings, run.job_file_hash) for run in store.runs()][1] == ("next", {"notes.workers": 4}, "ab")
    assert layout(first_format) == layout(tmp_path / "fresh.db")


def test_a_store_of_the_first_version_is_read_as_it_is(first_format: Path) -> None:
    before = first_format.read_bytes()
    with TraceStore(first_format, read_only=True) as store:
        assert [(run.run_id, run.settings) for run in store.runs()] == [(RUN.run_id, {})]
        assert store.spans(RUN.run_id) == SPANS
    assert first_format.read_bytes() == before


def test_a_migration_that_is_broken_off_changes_nothing(first_format: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = layout(first_format)
    monkeypatch.setitem(store_module._MIGRATIONS, 1, store_module._MIGRATIONS[1] + "; SELECT * FROM nowhere")
    with pytest.raises(StorageError, match="nowhere"):
        TraceStore(first_format)
    assert layout(first_format) == before
    monkeypatch.undo()
    with TraceStore(first_format) as store:
        assert store.spans(RUN.run_id) == SPANS


def ended(store: TraceStore, run_id: str, started: float, spans: int = 0) -> None:
    number = store.add_run(replace(RUN, run_id=run_id, started=started, seen=started)) or 0
    rows = [(n, None, "embedding", "x" * 200, started, started, "ok", None) for n in range(1, spans + 1)]
    store.write_spans(number, rows, seen=started, lost=0)
    store.end_run(number, replace(RUN, ended=started + 1, status="succeeded", exit_code=0, seconds=1.0))


def test_runs_past_their_time_are_removed_with_their_spans(path: Path) -> None:
    with TraceStore(path) as store:
        for number in range(4):
            ended(store, f"run {number}", 100.0 * number, spans=3)
        assert store.prune(now=1000.0, before=200.0) == 2
        assert [run.run_id for run in store.runs()] == ["run 2", "run 3"]
        assert store.spans("run 1") == []
        assert len(store.spans("run 2")) == 3
        assert store.prune(now=1000.0, before=200.0) == 0


def test_the_earliest_runs_leave_until_the_store_is_small_enough(path: Path) -> None:
    with TraceStore(path) as store:
        for number in range(4):
            ended(store, f"run {number}", 100.0 * number, spans=2000)
        whole = store.size()
        assert store.prune(now=1000.0, max_size=whole) == 0
        assert store.prune(now=1000.0, max_size=int(whole * 0.6)) == 2
        assert [run.run_id for run in store.runs()] == ["run 2", "run 3"]
        assert store.size() <= whole * 0.6
        assert path.stat().st_size <= whole * 0.7
        assert store.prune(now=1000.0, max_size=0) == 1
        # The latest stays, whatever its size.
        assert [run.run_id for run in store.runs()] == ["run 3"]


def test_a_run_that_still_lives_is_not_removed(path: Path) -> None:
    with TraceStore(path) as store:
        ended(store, "done", 20.0)
        store.add_run(replace(RUN, run_id="alive", started=5.0, seen=995.0))
        store.add_run(replace(RUN, run_id="killed", started=6.0, seen=700.0))
        ended(store, "spared", 30.0)
        ended(store, "latest", 10.0)
        assert store.prune(now=1000.0, before=999.0, max_size=0, spare="spared") == 2
        assert [run.run_id for run in store.runs()] == ["alive", "latest", "spared"]


def test_a_run_that_was_removed_is_not_written_into_another(path: Path) -> None:
    with TraceStore(path) as one, TraceStore(path) as other:
        number = one.add_run(RUN) or 0
        one.write_spans(number, ROWS, seen=11.0, lost=0)
        ended(other, "next", 20.0)
        assert other.prune(now=1e9, before=100.0) == 1
        ended(other, "one more", 30.0)
        with pytest.raises(StorageError, match="does not hold the run any more"):
            one.write_spans(number, ROWS, seen=12.0, lost=0)
        assert [len(one.spans(run.run_id)) for run in one.runs()] == [0, 0]


def test_what_another_run_is_writing_is_not_waited_for(path: Path) -> None:
    with TraceStore(path) as store, TraceStore(path, read_only=True) as reader:
        for number in range(4):
            ended(store, f"run {number}", 100.0 * number, spans=2000)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            # A reader keeps the file from being made smaller; what is removed is removed.
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM spans").fetchone()
            assert store.prune(now=1000.0, before=300.0) == 3
            assert len(reader.runs()) == 1
        assert len(store.spans("run 3")) == 2000


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_may_not_be_read_is_not_the_fault_of_the_disk(path: Path, read_only: bool) -> None:
    TraceStore(path).close()
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        path.parent.chmod(0o777)
        os.setresuid(65534, 65534, 0)  # Root may do everything: act as nobody meanwhile.
    try:
        with pytest.raises(StorageError, match=r"cannot open .*traces\.db") as caught:
            TraceStore(path, read_only=read_only)
    finally:
        if root:
            os.setresuid(0, 0, 0)
    assert caught.value.hint == "Be the user whose file it is, or let this one read and write it and its folder."


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file") as caught:
        TraceStore(tmp_path / "missing" / "traces.db")
    assert isinstance(caught.value, AsyncrunError)
