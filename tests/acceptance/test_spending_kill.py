"""Over kills: what was reserved for a call that was cut off counts as spent, and a refresh that was cut off goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer

ITEMS, TOKENS_EACH, BUDGET, BATCH = 40, 5, 100, 4


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "asyncrun", "run", "--quiet", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def write_job(folder: Path, server: FakeServer, **more: object) -> None:
    lines = (json.dumps({"id": str(number), "text": f"text number {number:08}"}) for number in range(ITEMS))
    (folder / "notes.jsonl").write_text("\n".join(lines))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": BATCH}}
    job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": 2}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job | more]}))


def wait_for_requests(server: FakeServer, number: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while len(server.requests) < number:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)


@pytest.mark.parametrize("calls_before_the_kill", [1, 2, 3])
def test_a_kill_in_the_middle_of_a_call_still_counts_what_was_reserved(tmp_path: Path, calls_before_the_kill: int) -> None:
    with FakeServer(latency=0.3).in_thread() as server:
        write_job(tmp_path, server, budget={"tokens": BUDGET})
        process = start(tmp_path)
        wait_for_requests(server, calls_before_the_kill, process)
        process.kill()
        process.wait(timeout=10)
        server.latency = 0.0
        assert start(tmp_path).wait(timeout=30) == 4
        spent = len(server.sent_texts) * TOKENS_EACH
        assert spent <= BUDGET
        # What was reserved is at most one batch for each worker; the rest of the budget was used.
        assert spent >= BUDGET - 3 * BATCH * TOKENS_EACH
        requests = len(server.requests)
        assert start(tmp_path).wait(timeout=30) == 4
        assert len(server.requests) == requests


@pytest.mark.parametrize("again", [("jobs.yaml", "n", "--refresh"), ()])
def test_a_refresh_that_is_killed_goes_on_and_repeats_what_was_in_flight_at_most(tmp_path: Path, again: tuple[str, ...]) -> None:
    with FakeServer().in_thread() as server:
        write_job(tmp_path, server)
        assert start(tmp_path).wait(timeout=30) == 0
        server.requests.clear()
        server.latency = 0.1
        process = start(tmp_path, "jobs.yaml", "n", "--refresh")
        wait_for_requests(server, 5, process)
        process.kill()
        process.wait(timeout=10)
        server.latency = 0.0
        assert start(tmp_path, *again).wait(timeout=30) == 0
        times = Counter(server.sent_texts)
        assert len(times) == ITEMS
        assert times.total() - ITEMS <= 2 * BATCH
        requests = len(server.requests)
        assert start(tmp_path).wait(timeout=30) == 0
        assert len(server.requests) == requests
