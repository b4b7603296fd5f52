"""Answers are paid for once: kill the run at any instant, run the same command again, and only what was in flight is asked again."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer

from .conftest import finish, start, wait_until

QUESTIONS, IN_FLIGHT = 120, 4


def write_jobs(folder: Path, server: FakeServer) -> None:
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    for number in range(5):
        (folder / f"docs/{number}.md").write_text(f"Passage number {number} tells how to resume.\n")
    lines = (json.dumps({"id": str(number), "text": f"question {number} about passage {number % 5}"}) for number in range(QUESTIONS))
    (folder / "questions.jsonl").write_text("\n".join(lines))
    llm = {"provider": "openai", "model": "gpt", "base_url": server.base_url, "limits": {"concurrency": IN_FLIGHT}}
    fill = {"name": "fill", "kind": "ingest", "input": "docs/*.md", "store": {"path": "index.db"}}
    ask = {"name": "ask", "kind": "query", "needs": ["fill"], "input": "questions.jsonl", "store": {"path": "index.db"}}
    jobs = [fill, {**ask, "search": "keyword", "llm": "small", "output": "answers.jsonl"}]
    (folder / "jobs.yaml").write_text(json.dumps({"llms": {"small": llm}, "jobs": jobs}))


def wait_for_prompts(server: FakeServer, number: int, process: subprocess.Popen[str]) -> None:
    wait_until(lambda: len(server.prompts) >= number, process)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_interrupted_again_and_again_it_ends_with_the_same_answers(tmp_path: Path, how: signal.Signals) -> None:
    rng, stops = random.Random(how), 0
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    with FakeServer(latency=0.02).in_thread() as server:
        write_jobs(undisturbed, server)
        code, told = finish(start(undisturbed))
        assert code == 0, told
        asked = len(server.prompts)
        server.requests.clear()
        write_jobs(disturbed, server)
        for _ in range(3):
            process = start(disturbed)
            wait_for_prompts(server, len(server.prompts) + rng.randint(5, 25), process)
            if process.poll() is None:
                stops += 1
                process.send_signal(how)
            finish(process)
            assert not (disturbed / "answers.jsonl").exists()
        code, told = finish(start(disturbed))
        assert code == 0, told
        times = Counter(server.prompts)
    assert (disturbed / "answers.jsonl").read_bytes() == (undisturbed / "answers.jsonl").read_bytes()
    repeated = sum(times.values()) - QUESTIONS
    print(f"{how.name}: {stops} stops, {repeated} of {asked} questions asked again")
    assert stops == 3
    assert len(times) == QUESTIONS
    # A run that is asked to stop waits for what is in flight: it is paid for.
    assert repeated <= (stops * IN_FLIGHT if how is signal.SIGKILL else 0)
    assert not list(disturbed.glob(".*.tmp"))
