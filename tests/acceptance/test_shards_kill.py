"""Shards side by side, killed at any instant, started again and joined: the bytes of an undisturbed run, nothing paid twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer
from tests.depth import DEEP, times

from .conftest import finish, summary_of, wait_until

ITEMS, TEXTS, BATCH, IN_FLIGHT = 400, 300, 8, 2
SHARDS = times(quick=2, deep=4)


def write_jobs(folder: Path, server: FakeServer) -> Path:
    folder.mkdir(exist_ok=True)
    lines = (json.dumps({"id": str(number), "text": f"text {number % TEXTS}"}) for number in range(ITEMS))
    (folder / "items.jsonl").write_text("\n".join(lines))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": BATCH}}
    job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": IN_FLIGHT}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    return folder / "out.jsonl"


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "asyncrun", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("together", [True, False], ids=["one folder", "folders"])
def test_killed_shards_are_joined_into_the_bytes_of_an_undisturbed_run(
    undisturbed: bytes, tmp_path: Path, seed: int, *, together: bool
) -> None:
    chance = random.Random(seed)
    held = chance.randrange(1, TEXTS // BATCH)
    with FakeServer(latency=lambda request: 0.02 if request.number < held else 3600).in_thread() as server:
        folders = [tmp_path if together else tmp_path / str(number) for number in range(1, SHARDS + 1)]
        for folder in {tmp_path, *folders}:
            write_jobs(folder, server)
        commands = [(folder, ("run", "--json", "--shard", f"{number}/{SHARDS}")) for number, folder in enumerate(folders, 1)]
        running = [start(folder, *words) for folder, words in commands]
        wait_until(lambda: len(server.requests) > held, running[0])
        for process in chance.sample(running, SHARDS):
            process.kill()
            finish(process)
        server.latency = 0.0
        ends = [finish(process) for process in [start(folder, *words) for folder, words in commands]]
        assert [code for code, _ in ends] == [0] * SHARDS, ends
        again = sum(count - 1 for count in Counter(server.sent_texts).values())
        assert again <= SHARDS * IN_FLIGHT * BATCH, "what was in flight at a kill"
        if not together:
            code, told = finish(start(tmp_path, "ledger", "import", *map(str, folders)))
            assert (code, told.splitlines()[1]) == (0, f"all: all {SHARDS} shards have finished")
        code, told = finish(start(tmp_path, "run", "--json"))
        assert (code, summary_of(told)["requests"]) == (0, 0), told
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed
