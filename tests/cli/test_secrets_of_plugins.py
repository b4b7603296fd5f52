"""Secrets in the words of plugins: what a run knows to be one reaches neither a stream nor a file by them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]

SECRET = "correct horse battery staple"
PLUGIN = Path(__file__).resolve().parents[1] / "programs" / "asyncrun_talkative.py"


@pytest.fixture
def folder(tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job of the plugin's reader and embedder, and one of its chat model, below the folder that is returned."""
    info = tmp_path / "site" / "asyncrun_talkative-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asyncrun-talkative\nVersion: 1.0\n")
    points = {"readers": "read", "embedders": "Embedding", "llms": "Chat"}
    (info / "entry_points.txt").write_text(
        "".join(f"[asyncrun.{port}]\ntalkative = asyncrun_talkative:{name}\n" for port, name in points.items())
    )
    shutil.copy(PLUGIN, tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("TALKATIVE_API_KEY", SECRET)
    work = tmp_path / "work"
    work.mkdir()
    (work / "notes.txt").write_text("one\nunreadable\nrefused\ntwo\n")
    (work / "questions.txt").write_text("why\n")
    model = {"provider": "talkative", "model": "m", "base_url": server.base_url}
    store = {"type": "sqlite", "path": "index.db"}
    jobs = [
        {"name": "notes", "kind": "embed", "input": {"path": "notes.txt", "format": "talkative"}, "output": "o.jsonl", "embedder": model},
        {"name": "docs", "kind": "ingest", "input": {"path": "notes.txt", "format": "talkative"}, "store": store, "embedder": model},
        {
            **{"name": "ask", "kind": "query", "needs": ["docs"], "input": {"path": "questions.txt", "format": "lines"}},
            **{"store": store, "search": "keyword", "embedder": model, "llm": model, "output": "a.jsonl"},
        },
    ]
    (work / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))
    monkeypatch.chdir(work)
    return work


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_words_of_a_failed_item_reach_neither_a_stream_nor_a_file(asyncrun: Command, folder: Path) -> None:
    said = ""
    for words in (["run", "-v", "--log-file", "run.log"], ["run", "--json"], ["failed"], ["failed", "--json"], ["trace", "errors"]):
        answer = asyncrun(*words)
        said += answer.out + answer.err
    assert "not with the key ***" in said
    assert "no answer for ***" in said
    assert SECRET not in said
    assert SECRET.encode() not in all_bytes(folder)


@pytest.mark.parametrize("where", ["local", "processes"])
def test_the_words_of_a_handler_that_breaks_are_told_without_it(asyncrun: Command, folder: Path, where: str) -> None:
    (folder / "notes.txt").write_text("watched\n")
    answer = asyncrun("run", "jobs.yaml", "notes", "--log-file", "run.log", "--executor", where)
    assert answer.code == 0
    assert answer.err.count("RuntimeError: the key *** is odd") == 1
    assert "RuntimeError: the key *** is odd" in (folder / "run.log").read_text()
    assert SECRET not in answer.out + answer.err
    assert SECRET.encode() not in all_bytes(folder)


@pytest.mark.parametrize("words", [["plan"], ["run", "jobs.yaml", "notes"], ["export", "jobs.yaml", "notes", "-o", "-"]])
def test_a_reader_that_breaks_tells_no_secret(asyncrun: Command, folder: Path, words: list[str]) -> None:
    (folder / "notes.txt").write_text("one\nend\n")
    answer = asyncrun(*words)
    assert answer.code == 70
    assert "cannot go on with the key ***" in answer.err
    assert SECRET not in answer.out + answer.err
    assert SECRET.encode() not in all_bytes(folder)
