"""SIGKILL at random instants, again and again: the same bytes as an undisturbed run, and nothing is sent twice but what was in flight.

`ASYNCRUN_TEST_KILLS=1000` runs a longer loop, `ASYNCRUN_TEST_SEED` repeats one.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from asyncrun.writers.jsonl import json_line
from tests.depth import asked_for

KILLS = asked_for("ASYNCRUN_TEST_KILLS", quick=4, deep=100)
SEED = int(os.environ.get("ASYNCRUN_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
ITEMS, BATCH, IN_FLIGHT, DIMENSIONS = 96, 4, 4, 8
SENT = ITEMS + 1
"""With the text that the places of a named space are compared by."""


def expected(items: int = ITEMS) -> bytes:
    rows = ({"id": str(n), "embedding": vector_of(f"text {n}", DIMENSIONS), "text": f"text {n}", "metadata": {}} for n in range(items))
    return b"".join(map(json_line, rows))


def write_job(folder: Path, server: FakeServer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "items.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"text {n}"}) + "\n" for n in range(ITEMS)))
    embedder = {
        **{"provider": "openai", "model": "m", "base_url": server.base_url, "space": "loop"},
        **{"batch": {"max_items": BATCH}, "limits": {"concurrency": IN_FLIGHT}},
    }
    job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": IN_FLIGHT}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


@dataclass
class Figures:
    """What a loop has seen."""

    kills: int = 0
    before_a_request: int = 0
    rounds: int = 0
    repeated: int = 0
    failures: list[str] = field(default_factory=list)


class Loop:
    """Kills one run after the other in a folder of its own; when one survives, looks at what it left, and begins afresh."""

    def __init__(self, folder: Path, server: FakeServer, seed: int, total: Callable[[], int]) -> None:
        self.folder, self.server, self.rng, self.total, self.seen = folder, server, random.Random(seed), total, Figures()

    def round(self, stop: threading.Event) -> None:
        place = self.folder / str(self.seen.rounds)
        write_job(place, self.server)
        kills, first = 0, len(self.server.requests)
        while True:
            begun = len(self.server.requests)
            process = subprocess.Popen(
                [sys.executable, "-m", "asyncrun", "run", "--quiet"],
                **{"cwd": place, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True},
            )
            if not stop.is_set():
                self.wait_a_while(process, begun)
                process.kill()
            told, _ = process.communicate(timeout=120)
            if process.returncode == -9:
                self.look_at_the_output(place)
                kills += 1
                self.seen.kills += 1
                self.seen.before_a_request += len(self.server.requests) == begun
                if self.total() >= KILLS:
                    stop.set()
                continue
            break
        self.seen.rounds += 1
        times = Counter(text for request in self.server.requests[first:] for text in request.texts)
        repeated = sum(times.values()) - SENT
        self.seen.repeated += repeated
        if process.returncode or (place / "out.jsonl").read_bytes() != expected():
            self.seen.failures.append(f"round {place}: exit {process.returncode}, {told}")
        if len(times) != SENT or repeated > kills * IN_FLIGHT * BATCH:
            self.seen.failures.append(f"round {place}: {repeated} of {SENT} texts sent again after {kills} kills")

    def look_at_the_output(self, place: Path) -> None:
        output = place / "out.jsonl"
        if output.exists() and output.read_bytes() != expected():
            self.seen.failures.append(f"round {place}: a kill left a part of the output")

    def wait_a_while(self, process: subprocess.Popen[str], begun: int) -> None:
        if self.rng.random() < 0.2:  # anywhere, also before the first line of Python
            time.sleep(self.rng.random() * 0.8)
            return
        while len(self.server.requests) == begun and process.poll() is None:
            time.sleep(0.002)
        time.sleep(self.rng.random() * 0.25)


def test_kills_at_random_instants_lose_nothing_and_repeat_only_what_was_in_flight(tmp_path: Path) -> None:
    began = time.monotonic()
    seen: list[Figures] = []
    stop = threading.Event()

    def work(number: int) -> None:
        with FakeServer(latency=0.03, dimensions=DIMENSIONS).in_thread() as server:
            loop = Loop(tmp_path / str(number), server, SEED + number, lambda: sum(each.kills for each in seen))
            seen.append(loop.seen)
            while not stop.is_set() and not loop.seen.failures:
                loop.round(stop)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(work, range(os.cpu_count() or 1)))
    kills, rounds, repeated = (sum(getattr(each, name) for each in seen) for name in ("kills", "rounds", "repeated"))
    early = sum(each.before_a_request for each in seen)
    print(
        f"seed {SEED}: {kills} kills ({early} before a request) in {rounds} jobs of {ITEMS} items, {repeated} texts sent again,"
        f" {time.monotonic() - began:.0f} s"
    )
    assert [failure for each in seen for failure in each.failures] == []
    assert kills >= KILLS
