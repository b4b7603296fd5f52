"""The command line in this process: what a user types, what comes out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from asyncrun.cli import main
from asyncrun.testing.server import FakeServer


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code and its streams."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Answer]


@pytest.fixture
def asyncrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["asyncrun", *arguments])
        capsys.readouterr()
        try:
            with blockbuster_ctx("asyncrun", excluded_modules=["asyncrun.testing"]):
                main()
            code: Any = 0
        except SystemExit as ending:
            code = ending.code
        streams = capsys.readouterr()
        assert "Traceback" not in streams.out + streams.err
        return Answer(int(code or 0), streams.out, streams.err)

    return call


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer().in_thread() as running:
        yield running


@pytest.fixture
def other() -> Iterator[FakeServer]:
    """Another server."""
    with FakeServer().in_thread() as running:
        yield running


@pytest.fixture
def notes(tmp_path: Path, server: FakeServer) -> Path:
    """A folder with a job of two texts."""
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one secret"}\n{"id": "b", "text": "two"}\n')
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    return tmp_path


@pytest.fixture
def unused_url(unused_port: int) -> str:
    """An address where nobody listens."""
    return f"http://127.0.0.1:{unused_port}/v1"
