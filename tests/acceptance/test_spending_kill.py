"""Over kills: what was reserved for a call that was cut off counts as spent, and a refresh that was cut off goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer
from tests.depth import DEEP

from .conftest import wait_until

ITEMS, TOKENS_EACH, BATCH = 40, 5, 4


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
    wait_until(lambda: len(server.requests) >= number, process)
    assert process.poll() is None


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
def test_a_budget_holds_over_many_kills_and_stays_spent_until_it_is_raised(tmp_path: Path) -> None:
    kills, in_flight = (1, 2, 3), 2 * BATCH * TOKENS_EACH
    budget = ITEMS * TOKENS_EACH - 1
    with FakeServer(latency=0.2).in_thread() as server:
        write_job(tmp_path, server, budget={"tokens": budget})
        for calls in kills:
            before = len(server.requests)
            process = start(tmp_path)
            wait_for_requests(server, before + calls, process)
            process.kill()
            process.wait(timeout=30)
        server.latency = 0.0
        assert start(tmp_path, "--summary-file", "summary.json").wait(timeout=60) == 4
        assert json.loads((tmp_path / "summary.json").read_text())["status"] == "stopped"
        # What was reserved for calls that were cut off stays reserved; the rest of the budget was used.
        assert budget - len(kills) * in_flight - BATCH * TOKENS_EACH <= len(server.sent_texts) * TOKENS_EACH <= budget
        requests = len(server.requests)
        assert start(tmp_path).wait(timeout=60) == 4
        assert len(server.requests) == requests
        write_job(tmp_path, server, budget={"tokens": 10 * budget})
        assert start(tmp_path).wait(timeout=60) == 0
        assert len((tmp_path / "out.jsonl").read_text().splitlines()) == ITEMS


def test_what_a_server_has_counted_is_expected_of_it_after_a_kill(tmp_path: Path) -> None:
    def dearer(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "usage": {"prompt_tokens": 2 * document["usage"]["prompt_tokens"]}}

    of_a_batch = 2 * BATCH * TOKENS_EACH
    budget = 5 * of_a_batch + of_a_batch * 3 // 4
    with FakeServer(latency=0.2).in_thread() as server:
        server.faults.append(Fault(change=dearer, times=None))
        write_job(tmp_path, server, budget={"tokens": budget})
        process = start(tmp_path)
        # Three are durable and two in flight: by the rule a whole one more would fit, by what was counted three quarters of it do.
        wait_for_requests(server, 5, process)
        process.kill()
        process.wait(timeout=30)
        server.latency = 0.02
        assert start(tmp_path).wait(timeout=60) == 4
        assert 2 * len(server.sent_texts) * TOKENS_EACH == budget


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
@pytest.mark.parametrize("again", [("jobs.yaml", "n", "--refresh"), ()] if DEEP else [()])
def test_a_refresh_that_is_killed_goes_on_and_repeats_what_was_in_flight_at_most(tmp_path: Path, again: tuple[str, ...]) -> None:
    with FakeServer().in_thread() as server:
        write_job(tmp_path, server)
        assert start(tmp_path).wait(timeout=60) == 0
        server.requests.clear()
        server.latency = 0.1
        process = start(tmp_path, "jobs.yaml", "n", "--refresh")
        wait_for_requests(server, 5, process)
        process.kill()
        process.wait(timeout=30)
        server.latency = 0.0
        assert start(tmp_path, *again).wait(timeout=60) == 0
        times = Counter(server.sent_texts)
        assert len(times) == ITEMS
        assert times.total() - ITEMS <= 2 * BATCH
        requests = len(server.requests)
        assert start(tmp_path).wait(timeout=60) == 0
        assert len(server.requests) == requests
