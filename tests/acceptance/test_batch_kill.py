"""Killed at random instants over submission, waiting and collection: nothing is submitted twice, no row is lost, the bytes stay the same.

`ASYNCRUN_TEST_KILLS=200` runs a longer loop, `ASYNCRUN_TEST_SEED` repeats one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from asyncrun.testing.batch_servers import BatchServers
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from asyncrun.writers.jsonl import json_line
from tests.depth import asked_for

KILLS = asked_for("ASYNCRUN_TEST_KILLS", quick=0, deep=40)
OF_A_LOOP = 10
"""Kills of one test: several tests share the processors."""
SEED = int(os.environ.get("ASYNCRUN_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
ITEMS, DIMENSIONS = 40, 8
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
SPEED = 400.0
"""Virtual seconds a second: a batch takes 180 of them."""


@dataclass
class Figures:
    """What a loop has seen; `early` kills came before all batches of their round were submitted."""

    kills: int = 0
    early: int = 0
    rounds: int = 0
    submitted: int = 0


def write_jobs(folder: Path, server: FakeServer, word: str) -> None:
    """Write two jobs: vectors of a provider that takes files, answers of one that has neither files nor names for batches."""
    folder.mkdir()
    rows = [{"id": str(number), "text": f"{word} text {number}"} for number in range(ITEMS)]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    embedder = {"provider": "openai", "model": "m", "base_url": server.vendor_url("openai"), "api_key": "k", "delivery": "batch"}
    llm = {"provider": "anthropic", "model": "c", "base_url": server.vendor_url("anthropic"), "api_key": "k", "delivery": "batch"}
    jobs = [
        {"name": "vectors", "kind": "embed", "input": "items.jsonl", "output": "vectors.jsonl", "embedder": embedder},
        {"name": "answers", "kind": "generate", "input": "items.jsonl", "output": "answers.jsonl", "llm": llm, "prompt": "Say: {text}"},
    ]
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))


def vectors_of(word: str) -> bytes:
    texts = [f"{word} text {number}" for number in range(ITEMS)]
    vectors = [vector_of(text, DIMENSIONS) for text in texts]
    rows = ({"id": str(n), "embedding": vectors[n], "text": text, "metadata": {}} for n, text in enumerate(texts))
    return b"".join(map(json_line, rows))


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "asyncrun", "run", "--quiet"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def kill_somewhere(process: subprocess.Popen[str], server: FakeServer, rng: random.Random) -> int:
    """End a run at a random instant; returns how it has ended."""
    begun = len(server.requests)
    if rng.random() < 0.8:
        while len(server.requests) == begun and process.poll() is None:
            time.sleep(0.002)
    time.sleep(rng.random() ** 2 * 1.2)
    process.send_signal(rng.choice(SIGNALS))
    told, _ = process.communicate(timeout=120)
    # Before the interpreter has begun nobody takes a signal in hand.
    too_early = process.returncode == 1 and "Failed to import the site module" in told
    assert too_early or process.returncode in (0, 75, 130, 143, -9, -2, -15), told
    return process.returncode


@pytest.mark.skipif(not KILLS, reason="it takes minutes: ASYNCRUN_TEST_DEEP=1, or ASYNCRUN_TEST_KILLS=200")
@pytest.mark.parametrize("loop", range(-(-KILLS // OF_A_LOOP) or 1))
def test_kills_at_random_instants_submit_nothing_twice_and_lose_nothing(tmp_path: Path, loop: int) -> None:
    began, rng, seen = time.monotonic(), random.Random(SEED + loop), Figures()
    with FakeServer(dimensions=DIMENSIONS, latency=0.04, batches=BatchServers(speed=SPEED)).in_thread() as server:
        assert server.batches is not None
        while seen.kills < OF_A_LOOP:
            word = f"round {seen.rounds}"
            folder = tmp_path / str(seen.rounds)
            write_jobs(folder, server, word)
            code: int | None = None
            while code != 0:
                process = start(folder)
                if seen.kills < OF_A_LOOP:
                    code = kill_somewhere(process, server, rng)
                    seen.kills += code != 0
                    seen.early += code != 0 and len(server.batches.books.created) < 2 * (seen.rounds + 1)
                else:
                    told, _ = process.communicate(timeout=120)
                    code = process.returncode
                    assert code == 0, (told, SEED)
            seen.rounds += 1
            assert (folder / "vectors.jsonl").read_bytes() == vectors_of(word), SEED
            assert len((folder / "answers.jsonl").read_bytes().splitlines()) == ITEMS, SEED
        books = server.batches.books
        seen.submitted = len(books.created)
        assert books.submitted_twice() == [], SEED
        assert books.paid_twice() == [], SEED
        assert len(books.billed) == 2 * ITEMS * seen.rounds, SEED
        assert seen.submitted == 2 * seen.rounds, SEED
    kills = f"{seen.kills} kills ({seen.early} before all was submitted)"
    print(f"seed {SEED}, loop {loop}: {kills} in {seen.rounds} rounds of 2 batches, {time.monotonic() - began:.0f} s")
