"""Answers are paid for once: kill the run at any instant, run the same command again, and only what was in flight is asked again."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from asyncrun.testing.faults import SeenRequest
from asyncrun.testing.server import FakeServer
from tests.depth import first, times

from .conftest import finish, start, wait_until

QUESTIONS, IN_FLIGHT = 120, 4


def write_jobs(folder: Path, server: FakeServer) -> Path:
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    for number in range(5):
        (folder / f"docs/{number}.md").write_text(f"Passage number {number} tells how to resume.\n")
    lines = (json.dumps({"id": str(number), "text": f"question {number} about passage {number % 5}"}) for number in range(QUESTIONS))
    (folder / "questions.jsonl").write_text("\n".join(lines))
    llm = {"provider": "openai", "model": "gpt", "base_url": server.base_url, "limits": {"concurrency": IN_FLIGHT}}
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    fill = {"name": "fill", "kind": "ingest", "input": "docs/*.md", "embedder": embedder, "store": {"path": "index.db"}}
    ask = {"name": "ask", "kind": "query", "needs": ["fill"], "input": "questions.jsonl", "store": {"path": "index.db"}}
    jobs = [fill, {**ask, "embedder": embedder, "search": "keyword", "llm": "small", "output": "answers.jsonl"}]
    (folder / "jobs.yaml").write_text(json.dumps({"llms": {"small": llm}, "jobs": jobs}))
    return folder / "answers.jsonl"


@pytest.mark.parametrize("how", first([signal.SIGKILL, signal.SIGTERM]))
def test_interrupted_again_and_again_it_ends_with_the_same_answers(undisturbed: bytes, tmp_path: Path, how: signal.Signals) -> None:
    rng, stops = random.Random(how), times(quick=1, deep=3)
    with FakeServer().in_thread() as server:
        write_jobs(tmp_path, server)
        for _ in range(stops):
            reached = len(server.requests) + rng.randint(5, 25)
            # What comes then takes long, so that no run has ended before it is told to.
            server.latency = partial(latency_from, reached)
            process = start(tmp_path)
            wait_until(partial(has_reached, server, reached), process)
            process.send_signal(how)
            code, told = finish(process)
            assert code in (128 + how, -how), told
            assert not (tmp_path / "answers.jsonl").exists()
        server.latency = 0.0
        code, told = finish(start(tmp_path))
        assert code == 0, told
        asked = Counter(server.prompts)
    assert (tmp_path / "answers.jsonl").read_bytes() == undisturbed
    repeated = sum(asked.values()) - QUESTIONS
    print(f"{how.name}: {stops} stops, {repeated} of {QUESTIONS} questions asked again")
    assert len(asked) == QUESTIONS
    # A run that is asked to stop waits for what is in flight: it is paid for.
    assert repeated <= (stops * IN_FLIGHT if how is signal.SIGKILL else 0)
    assert not list(tmp_path.glob(".*.tmp"))


def latency_from(reached: int, request: SeenRequest) -> float:
    return 0.5 if request.number >= reached else 0.0


def has_reached(server: FakeServer, number: int) -> bool:
    return len(server.requests) > number
