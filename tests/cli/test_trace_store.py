"""A run never fails because of the file that its trace goes to."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import error
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


LONG = "the beginning of a long text " + "and more " * 200 + "its end"


def bytes_of(traces: Path) -> bytes:
    return b"".join(path.read_bytes() for path in traces.parent.glob("traces.db*"))


@pytest.mark.parametrize("trace", [{}, {"text": False}])
def test_no_text_of_an_item_is_in_a_trace(
    asyncrun: Command, server: FakeServer, tmp_path: Path, traces: Path, trace: dict[str, Any]
) -> None:
    """Neither where all goes well, nor where the endpoint refuses, nor of questions."""
    secrets = ["velvet giraffe", "copper umbrella", "whispering teapot"]
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    (tmp_path / "book.txt").write_text(secrets[0])
    jobs: list[dict[str, Any]] = [
        {"name": "book", "kind": "ingest", "input": "book.txt", "collection": "book"},
        {"name": "notes", "kind": "embed", "input": {"items": [secrets[1]]}, "output": "out.jsonl"},
        {"name": "ask", "kind": "query", "input": {"items": [secrets[2]]}, "collection": "book", "output": "a.jsonl", "needs": ["book"]},
    ]
    file = tmp_path / "jobs.yaml"
    file.write_text(json.dumps({"trace": trace, "defaults": {"embedder": embedder}, "jobs": jobs}))
    server.faults.append(error(500, "broken"))
    assert asyncrun("run").code == 0
    shown = bytes_of(traces)
    assert b"embedding" in shown
    assert [text for text in secrets if text.encode() in shown] == []


def test_texts_are_there_where_they_are_asked_for_cut_and_escaped(
    asyncrun: Command, server: FakeServer, tmp_path: Path, traces: Path
) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "retry": {"attempts": 1}}
    texts = ["\x1b[31mred\u202e", LONG, *(f"number {number}" for number in range(10))]
    job = {"name": "notes", "kind": "embed", "input": {"items": texts}, "output": "out.jsonl", "embedder": embedder}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"trace": {"text": True}, "jobs": [job]}))
    server.faults.append(error(401, "no"))
    assert asyncrun("run").code == 77
    told = asyncrun("trace", "errors").out
    assert "    text: \\x1b[31mred\\u202e\n    text: the beginning of a long text and more" in told
    assert "\x1b" not in told
    [batch] = [entry for entry in asyncrun("trace", "errors", "--json").documents[0]["errors"] if entry["texts"]]
    assert [len(text) for text in batch["texts"]] == [len("\\x1b[31mred\\u202e"), 200, 8, 8, 8]
    assert "number 0" in asyncrun("trace", "html").out
    assert b"its end" not in bytes_of(traces)
