"""What is done can be written out while a run goes on; the run does not notice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer
from tests.depth import DEEP

from .conftest import wait_until

ITEMS = 60
SLOW, FAST = 2.0, 0.02


def write_jobs(folder: Path, server: FakeServer) -> None:
    (folder / "docs").mkdir()
    for number in range(4):
        (folder / f"docs/{number}.md").write_text(f"Passage number {number} tells how to resume.\n")
    items = [{"id": str(number), "text": f"question {number} about passage {number % 4}"} for number in range(ITEMS)]
    endpoint = {"provider": "openai", "base_url": server.base_url, "limits": {"concurrency": 2}}
    embedder = {**endpoint, "model": "m", "batch": {"max_items": 1}}
    shared = {"input": {"items": items}, "embedder": embedder}
    jobs = [
        {"name": "fill", "kind": "ingest", "input": "docs/*.md", "embedder": embedder, "store": {"path": "index.db"}},
        {"name": "all", "kind": "embed", "output": "all.jsonl", **shared},
        {
            "name": "ask",
            "kind": "query",
            "needs": ["fill", "all"],
            "store": {"path": "index.db"},
            "llm": "small",
            "output": "ask.jsonl",
            **shared,
        },
    ]
    (folder / "jobs.yaml").write_text(json.dumps({"llms": {"small": {**endpoint, "model": "gpt"}}, "jobs": jobs}))


def export(folder: Path, job: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "asyncrun", "export", "jobs.yaml", job, "-o", f"{job}.so-far.jsonl"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode in (0, 3), ran.stderr
    return ran.returncode, (folder / f"{job}.so-far.jsonl").read_text().splitlines()


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
def test_rows_are_exported_while_a_run_goes_on(tmp_path: Path) -> None:
    with FakeServer().in_thread() as server:
        # From so much on a job takes long, until its rows are exported.
        held = {"all": lambda: len(server.sent_texts) > 12, "ask": lambda: len(server.prompts) > 4}
        server.latency = lambda request: SLOW if held.get("ask" if request.prompts else "all", bool)() else FAST
        write_jobs(tmp_path, server)
        command = [sys.executable, "-m", "asyncrun", "run", "-q"]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            parts = {}
            for job in ("all", "ask"):
                wait_until(held[job], run)
                parts[job] = export(tmp_path, job)
                del held[job]
            assert run.poll() is None
            _, told = run.communicate(timeout=120)
        assert run.returncode == 0, told
        assert max(Counter(server.prompts).values()) == 1
        sent = len(server.requests)
        for job, (code, rows) in parts.items():
            whole = (tmp_path / f"{job}.jsonl").read_text().splitlines()
            assert (code, 0 < len(rows) < ITEMS) == (3, True), job
            assert [row for row in whole if row in set(rows)] == rows
        assert export(tmp_path, "ask") == (0, whole)
        assert len(server.requests) == sent
