"""Rows of a generate job are paid for once: kill the run at any instant, run it again, and only what was in flight is asked again."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.chat import Chat, usual_answer
from asyncrun.testing.faults import SeenRequest
from asyncrun.testing.server import FakeServer
from tests.depth import DEEP, asked_for

from .conftest import finish, start, wait_until

ROWS, IN_FLIGHT = 600, 8
SCHEMA = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"], "additionalProperties": False}


def answer(document: Mapping[str, Any]) -> str:
    """Every fifth row is answered wrongly at first, and every fiftieth again and again."""
    messages = document["messages"]
    number = int(messages[0]["content"].split()[-1])
    if number % 50 == 7 or (number % 5 == 3 and len(messages) == 1):
        return "no JSON"
    return usual_answer({**document, "messages": messages[:1]})


def write_jobs(folder: Path, server: FakeServer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"id": str(number), "text": f"about the number {number % 500}"}) for number in range(ROWS))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    llm = {"provider": "openai", "model": "gpt", "base_url": server.base_url, "limits": {"concurrency": IN_FLIGHT}}
    job = {"name": "ask", "kind": "generate", "input": "rows.jsonl", "llm": "small", "prompt": "Topic? {text}", "schema": SCHEMA}
    (folder / "jobs.yaml").write_text(json.dumps({"llms": {"small": llm}, "jobs": [{**job, "samples": 2, "output": "out.jsonl"}]}))


@pytest.mark.skipif(not DEEP, reason="many runs of the whole program: ASYNCRUN_TEST_DEEP=1")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_interrupted_again_and_again_it_ends_with_the_same_rows(tmp_path: Path, how: signal.Signals) -> None:
    rng, stops = random.Random(how), asked_for("ASYNCRUN_TEST_KILLS", quick=1, deep=5)
    with FakeServer(chat=Chat(answer=answer)).in_thread() as server:
        write_jobs(tmp_path / "undisturbed", server)
        code, told = finish(start(tmp_path / "undisturbed"))
        assert code == 3, told
        needed = Counter(map(body_of, server.requests))
        assert set(needed.values()) == {1}
        server.requests.clear()
        write_jobs(tmp_path / "killed", server)
        for _ in range(stops):
            begun = len(server.requests)
            reached = begun + rng.randint(5, len(needed) // (stops + 1))
            # What comes then takes long, so that no run has ended before it is told to.
            server.latency = partial(latency_from, server, reached)
            process = start(tmp_path / "killed")
            wait_until(partial(has_reached, server, reached), process)
            process.send_signal(how)
            code, told = finish(process)
            assert code in (128 + how, -how), told
            assert not (tmp_path / "killed/out.jsonl").exists()
        server.latency = 0.0
        code, told = finish(start(tmp_path / "killed"))
        assert code == 3, told
        asked = Counter(map(body_of, server.requests))
    assert (tmp_path / "killed/out.jsonl").read_bytes() == (tmp_path / "undisturbed/out.jsonl").read_bytes()
    assert asked.keys() == needed.keys()
    # A run that is asked to stop waits for what is in flight: it is paid for.
    assert sum(asked.values()) - len(needed) <= (stops * IN_FLIGHT if how is signal.SIGKILL else 0)
    assert not list((tmp_path / "killed").glob(".*.tmp"))


def body_of(request: SeenRequest) -> bytes:
    return request.body


def latency_from(server: FakeServer, reached: int, request: SeenRequest) -> float:
    return 0.5 if len(server.requests) >= reached else 0.0


def has_reached(server: FakeServer, number: int) -> bool:
    return len(server.requests) > number
