"""Worker processes, and the process that has them, are killed or frozen in the middle of a run: the same bytes, and nothing is left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from asyncrun.writers.jsonl import json_line
from tests.acceptance.conftest import finish, start, summary_of, wait_until
from tests.depth import DEEP, asked_for

KILLS = asked_for("ASYNCRUN_TEST_KILLS", quick=2, deep=30)
SEED = int(os.environ.get("ASYNCRUN_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
BATCH, IN_FLIGHT, DIMENSIONS = 4, 8, 8


def write_jobs(folder: Path, server: FakeServer, items: int) -> bytes:
    """Write a job for two worker processes; return what its output must be."""
    texts = [f"text {number}" for number in range(items)]
    (folder / "items.jsonl").write_text("".join(json.dumps({"id": text, "text": text}) + "\n" for text in texts))
    embedder = {
        **{"provider": "openai", "model": "m", "base_url": server.base_url, "retry": {"attempts": 1000}},
        **{"batch": {"max_items": BATCH}, "limits": {"concurrency": IN_FLIGHT}},
    }
    job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": "out.jsonl", "embedder": embedder}
    (folder / "jobs.yaml").write_text(json.dumps({"executor": {"type": "processes", "processes": 2}, "jobs": [job]}))
    rows = ({"id": text, "embedding": vector_of(text, DIMENSIONS), "text": text, "metadata": {}} for text in texts)
    return b"".join(map(json_line, rows))


def children_of(process: subprocess.Popen[str]) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{process.pid}/task").glob("*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            children += map(int, (task / "children").read_text().split())
    return children


def is_running(process: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


@contextmanager
def server_that_is_slow_until(released: threading.Event) -> Iterator[FakeServer]:
    """A server that holds a run in its middle: it answers at once when all kills are done."""
    with FakeServer(dimensions=DIMENSIONS, latency=lambda _: 0.0 if released.is_set() else 0.05).in_thread() as server:
        yield server


pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked at in /proc")


def test_killed_workers_cost_a_run_no_row_and_no_more_than_was_in_flight(tmp_path: Path) -> None:
    released, rng = threading.Event(), random.Random(SEED)
    with server_that_is_slow_until(released) as server:
        # Seconds of work while the server is slow, so that no kill comes late where the machine is busy.
        expected = write_jobs(tmp_path, server, items=max(40 * KILLS, 600) * BATCH)
        process = start(tmp_path)
        for _ in range(KILLS):
            begun = len(server.requests)
            wait_until(lambda begun=begun: len(server.requests) > begun + IN_FLIGHT, process)
            time.sleep(rng.uniform(0.0, 0.05))
            if victims := children_of(process):
                os.kill(rng.choice(victims), signal.SIGKILL)
        released.set()
        code, told = finish(process)
        sent = Counter(server.sent_texts)
    assert code == 0, f"{told} (seed {SEED})"
    assert (tmp_path / "out.jsonl").read_bytes() == expected
    summary = summary_of(told)
    assert 0 < summary["lost_workers"] <= KILLS
    assert summary["retries"] >= summary["lost_calls"] > 0
    assert sum(times - 1 for times in sent.values()) <= summary["lost_calls"] * BATCH <= KILLS * IN_FLIGHT * BATCH


def test_a_killed_run_leaves_no_worker_and_goes_on_where_it_was(tmp_path: Path) -> None:
    released = threading.Event()
    with server_that_is_slow_until(released) as server:
        expected = write_jobs(tmp_path, server, items=200)
        process = start(tmp_path)
        wait_until(lambda: len(server.requests) > 2 * IN_FLIGHT, process)
        workers = children_of(process)
        process.kill()
        finish(process)
        deadline = time.monotonic() + 30
        while any(map(is_running, workers)):
            assert time.monotonic() < deadline, "a worker outlives its run"
            time.sleep(0.01)
        released.set()
        code, told = finish(start(tmp_path))
        sent = Counter(server.sent_texts)
    assert workers
    assert code == 0, told
    assert (tmp_path / "out.jsonl").read_bytes() == expected
    assert sum(times - 1 for times in sent.values()) <= IN_FLIGHT * BATCH


@pytest.mark.skipif(not DEEP, reason="several runs: ASYNCRUN_TEST_DEEP=1")
def test_a_worker_that_is_frozen_for_a_while_costs_nothing(tmp_path: Path) -> None:
    released = threading.Event()
    with server_that_is_slow_until(released) as server:
        expected = write_jobs(tmp_path, server, items=200)
        process = start(tmp_path)
        wait_until(lambda: len(server.requests) > IN_FLIGHT and len(children_of(process)) > 0, process)
        frozen = children_of(process)[0]
        os.kill(frozen, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(frozen, signal.SIGCONT)
        released.set()
        code, told = finish(process)
    assert code == 0, told
    assert (tmp_path / "out.jsonl").read_bytes() == expected
    assert len(set(server.sent_texts)) == 200


@pytest.mark.skipif(not DEEP, reason="several runs: ASYNCRUN_TEST_DEEP=1")
def test_ctrl_c_ends_a_run_and_its_workers(tmp_path: Path) -> None:
    with server_that_is_slow_until(threading.Event()) as server:
        write_jobs(tmp_path, server, items=2000)
        process = start(tmp_path)
        wait_until(lambda: len(server.requests) > IN_FLIGHT, process)
        workers = children_of(process)
        process.send_signal(signal.SIGINT)
        code, told = finish(process)
    assert code in (130, -signal.SIGINT), told
    assert workers
    assert not any(map(is_running, workers))
