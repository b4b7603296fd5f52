"""The contract suite of kinds of jobs: subclass `KindContract`, give it the method `entry`, and run it with pytest."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer


class KindContract:
    """What every kind of job promises whose rows are made from vectors; its package is installed.

    The method `entry` returns an entry of a job file with three different texts at least, without name and embedder, and the output
    `rows.jsonl`. What a kind does not do is set to False.

    >>> class TestMine(KindContract):
    ...     exports = False
    ...     def entry(self, folder):
    ...         return {"kind": "mine", "input": {"items": ["one", "two", "three"]}, "output": "rows.jsonl"}
    """

    exports = True

    def entry(self, folder: Path) -> Mapping[str, Any]:
        """Return the entry of a job; its input may be written into the folder, where the job file will be."""
        raise NotImplementedError

    @pytest.fixture
    def server(self) -> Iterator[FakeServer]:
        """Return a server of vectors."""
        with FakeServer().in_thread() as server:
            yield server

    @pytest.fixture
    def folder(self, tmp_path: Path, server: FakeServer) -> Path:
        """Return a folder with a job file."""
        self.write(tmp_path, server)
        return tmp_path

    def write(self, folder: Path, server: FakeServer, **keys: Any) -> None:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 1}}
        job = {"name": "job", "workers": 1, "embedder": embedder, **self.entry(folder), **keys}
        (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}), encoding="utf-8")

    def asyncrun(self, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "asyncrun", *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603

    def test_a_plan_sends_nothing_and_says_what_a_run_would(self, folder: Path, server: FakeServer) -> None:
        planned = self.asyncrun(folder, "plan", "--json")
        assert planned.returncode == 0, planned.stderr
        [job] = json.loads(planned.stdout)["jobs"]
        assert job["new"] == job["items"] >= 3
        assert server.requests == []

    def test_what_is_finished_is_not_sent_again(self, folder: Path, server: FakeServer) -> None:
        ran = self.asyncrun(folder, "run")
        assert ran.returncode == 0, ran.stderr
        rows, sent = (folder / "rows.jsonl").read_bytes(), len(server.requests)
        assert rows
        assert sent >= 3
        assert self.asyncrun(folder, "run").returncode == 0
        assert ((folder / "rows.jsonl").read_bytes(), len(server.requests)) == (rows, sent)

    def test_it_goes_on_where_it_was_stopped(self, folder: Path, server: FakeServer) -> None:
        server.faults.append(error(401, "no", after=1, times=1))
        assert self.asyncrun(folder, "run").returncode == 77
        assert not (folder / "rows.jsonl").exists()
        sent = len(server.requests)
        if self.exports:
            assert self.asyncrun(folder, "export", "jobs.yaml", "job", "-o", "now.jsonl").returncode in (0, 3)
            assert len(server.requests) == sent
        assert self.asyncrun(folder, "run").returncode == 0
        assert len(server.sent_texts) == len(set(server.sent_texts)) + 1, "only the text that was refused is sent twice"

    def test_a_key_that_it_does_not_have_is_told_with_its_place(self, folder: Path, server: FakeServer) -> None:
        self.write(folder, server, no_such_key=1)
        checked = self.asyncrun(folder, "validate")
        assert checked.returncode == 2
        assert "jobs[0].no_such_key" in checked.stderr
