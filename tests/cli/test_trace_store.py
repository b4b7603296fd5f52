"""A run never fails because of the file that its trace goes to."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer
from asyncrun.trace.store import TraceStore

from .conftest import Command


def embed_file(folder: Path, server: FakeServer, **sections: Any) -> str:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "notes", "kind": "embed", "input": {"items": ["one", "two"]}, "output": "out.jsonl", "embedder": embedder}
    (folder / "jobs.yaml").write_text(json.dumps({**sections, "jobs": [job]}))
    return "jobs.yaml"


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    (tmp_path / ".asyncrun").mkdir()
    return tmp_path / ".asyncrun" / "traces.db"


def test_a_damaged_store_is_set_aside_and_said(asyncrun: Command, server: FakeServer, tmp_path: Path, traces: Path) -> None:
    traces.write_text("not a database, but long enough to be looked at " * 20)
    file = embed_file(tmp_path, server)
    answer = asyncrun("run", file)
    assert answer.code == 0
    assert "traces.db.damaged" in answer.err
    assert "Trace: " in answer.out
    with TraceStore(traces, read_only=True) as store:
        [run] = store.runs()
    assert (run.status, run.settings["notes.kind"], len(run.job_file_hash or "")) == ("succeeded", "embed", 64)
    assert asyncrun("run", file).err.count("damaged") == 0


def test_a_store_of_a_newer_version_leaves_the_run_without_a_trace(
    asyncrun: Command, server: FakeServer, tmp_path: Path, traces: Path
) -> None:
    TraceStore(traces).close()
    with closing(sqlite3.connect(traces)) as connection:
        connection.execute("PRAGMA user_version = 99")
    answer = asyncrun("run", embed_file(tmp_path, server))
    assert answer.code == 0
    assert "this run goes without a trace" in answer.err
    assert "newer asyncrun" in answer.err
    assert (tmp_path / "out.jsonl").exists()


def test_old_runs_leave_when_a_run_starts(asyncrun: Command, server: FakeServer, tmp_path: Path, traces: Path) -> None:
    file = embed_file(tmp_path, server, trace={"keep": "1ms"})
    for _ in range(3):
        assert asyncrun("run", file).code == 0
    with TraceStore(traces, read_only=True) as store:
        assert len(store.runs()) == 2


def test_texts_of_items_in_a_trace_are_not_there_yet_and_that_is_said(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    answer = asyncrun("run", embed_file(tmp_path, server, trace={"text": True}))
    assert answer.code == 2
    assert "storing the texts of items is not in this version yet" in answer.err
