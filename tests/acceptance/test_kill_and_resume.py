"""Kill it at any instant, run the same command again: the same bytes, and nothing is sent twice but what was in flight."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer
from tests.depth import first

from .conftest import WITHOUT_GRACE, finish, send_signal_twice, start, summary_of, wait_until

ITEMS, BATCH, IN_FLIGHT = 400, 8, 4


def write_jobs(folder: Path, server: FakeServer) -> Path:
    folder.mkdir(exist_ok=True)
    lines = (json.dumps({"id": str(number), "text": f"text {number}"}) for number in range(ITEMS))
    (folder / "items.jsonl").write_text("\n".join(lines))
    embedder = {
        "provider": "openai",
        "model": "m",
        "base_url": server.base_url,
        "batch": {"max_items": BATCH},
        "limits": {"concurrency": IN_FLIGHT},
    }
    job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": IN_FLIGHT}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    return folder / "out.jsonl"


def wait_for_requests(server: FakeServer, number: int, process: subprocess.Popen[str]) -> None:
    wait_until(lambda: len(server.requests) >= number, process)


@pytest.mark.parametrize(("number", "code"), first([(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]))
def test_a_signal_lets_what_is_in_flight_finish_and_nothing_is_sent_twice(
    undisturbed: bytes, tmp_path: Path, number: int, code: int
) -> None:
    with FakeServer(latency=lambda request: 0.5 if request.number >= IN_FLIGHT else 0.0).in_thread() as server:
        write_jobs(tmp_path, server)
        process = start(tmp_path)
        wait_for_requests(server, IN_FLIGHT + 1, process)
        process.send_signal(number)
        found, told = finish(process)
        server.latency = 0.0
        assert found in (code, -number), told
        summary = summary_of(told)
        assert (summary["status"], summary["exit_code"]) == ("stopped", code)
        assert not (tmp_path / "out.jsonl").exists()
        again, told = finish(start(tmp_path))
        assert again == 0, told
        assert max(Counter(server.sent_texts).values()) == 1
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


def test_below_nohup_a_hangup_changes_nothing(undisturbed: bytes, tmp_path: Path) -> None:
    with FakeServer(latency=0.05).in_thread() as server:
        write_jobs(tmp_path, server)
        command = ["nohup", sys.executable, "-m", "asyncrun", "run", "--json"]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=tmp_path, text=True, **pipes)
        wait_for_requests(server, 5, process)
        process.send_signal(signal.SIGHUP)
        code, told = finish(process)
        assert code == 0, told
        assert max(Counter(server.sent_texts).values()) == 1
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


def test_two_signals_end_it_at_once(tmp_path: Path) -> None:
    with FakeServer(latency=3600).in_thread() as server:
        write_jobs(tmp_path, server)
        process = start(tmp_path, WITHOUT_GRACE)
        wait_for_requests(server, 1, process)
        send_signal_twice(process, signal.SIGINT)
        code, told = finish(process)
        assert code in (130, -signal.SIGINT), told


def test_a_second_run_of_the_same_file_is_told_who_runs(tmp_path: Path) -> None:
    with FakeServer(latency=3600).in_thread() as server:
        write_jobs(tmp_path, server)
        first = start(tmp_path)
        wait_for_requests(server, 1, first)
        code, told = finish(start(tmp_path))
        assert code == 75
        assert re.search(rf"process {first.pid} on {re.escape(os.uname().nodename)}, since \d{{4}}-\d\d-\d\dT", told), told
        assert first.poll() is None
        first.kill()
        finish(first)


def test_a_lock_whose_holder_was_killed_does_not_block(undisturbed: bytes, tmp_path: Path) -> None:
    with FakeServer(latency=0.5).in_thread() as server:
        write_jobs(tmp_path, server)
        first = start(tmp_path)
        wait_for_requests(server, 1, first)
        first.kill()
        finish(first)
        server.latency = 0.0
        code, told = finish(start(tmp_path))
        assert code == 0, told
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


def test_sigusr1_shows_what_each_slot_waits_for_and_the_run_goes_on(undisturbed: bytes, tmp_path: Path) -> None:
    with FakeServer(latency=lambda request: 0.0 if request.number else 2.0).in_thread() as server:
        write_jobs(tmp_path, server)
        process = start(tmp_path)
        wait_for_requests(server, 1, process)
        process.send_signal(signal.SIGUSR1)
        code, told = finish(process)
    assert code == 0, told
    assert "waiting for request at" in told
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


@pytest.mark.parametrize("fault", first([Fault(status=429, headers={"retry-after": "60"}, times=None), error(500, "later", times=None)]))
def test_to_wait_is_not_to_be_in_flight(tmp_path: Path, fault: Fault) -> None:
    with FakeServer(latency=0.02).in_thread() as server:
        write_jobs(tmp_path, server)
        process = start(tmp_path, WITHOUT_GRACE)
        wait_for_requests(server, 4, process)
        server.faults.append(fault)
        wait_for_requests(server, len(server.requests) + 2, process)
        time.sleep(0.5)  # until it waits; if it does not yet, it must not begin to
        process.send_signal(signal.SIGINT)
        code, told = finish(process)
    assert code in (130, -signal.SIGINT), told
    assert summary_of(told)["status"] == "stopped"
