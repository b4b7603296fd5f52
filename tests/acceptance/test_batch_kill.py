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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing import Chat
from asyncrun.testing.batch_servers import BatchServers
from asyncrun.testing.batch_servers.books import Books
from asyncrun.testing.chat import Said, usual_answer
from asyncrun.testing.server import FakeServer
from tests.depth import asked_for

KILLS = asked_for("ASYNCRUN_TEST_KILLS", quick=0, deep=40)
OF_A_LOOP = 10
"""Kills of one test: several tests share the processors."""
SEED = int(os.environ.get("ASYNCRUN_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
ITEMS, DIMENSIONS = 40, 8
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
SPEED = 400.0
"""Virtual seconds a second: a batch takes 180 of them."""
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
Parts = Callable[[FakeServer, str], dict[str, Any]]
"""Makes embedders, llms and jobs of a job file; the second argument is how those are delivered that are under test."""


@dataclass(frozen=True)
class Case:
    """Jobs that are killed. Each of their `batches` comes with so many `requests`; `share` of the kills are of this case."""

    parts: Parts
    outputs: tuple[str, ...]
    batches: int
    requests: int
    share: float


@dataclass
class Figures:
    """What a loop has seen; `early` kills came before all batches of their round were submitted."""

    kills: int = 0
    early: int = 0
    rounds: int = 0


def model(server: FakeServer, vendor: str, name: str, delivery: str) -> dict[str, Any]:
    return {"provider": vendor, "model": name, "base_url": server.vendor_url(vendor), "api_key": "k", "delivery": delivery}


def side_by_side(server: FakeServer, delivery: str) -> dict[str, Any]:
    """Vectors of a provider that takes files, answers of one that has neither files nor names for batches."""
    llm = model(server, "anthropic", "c", delivery)
    embed = {"name": "vectors", "kind": "embed", "input": "items.jsonl", "output": "vectors.jsonl"}
    ask = {"name": "answers", "kind": "generate", "input": "items.jsonl", "output": "answers.jsonl", "llm": llm, "prompt": "Say: {text}"}
    return {"jobs": [{**embed, "embedder": model(server, "openai", "m", delivery)}, ask]}


def with_repairs(server: FakeServer, delivery: str) -> dict[str, Any]:
    """Answers in a schema, of which one in four is wrong until its mistake is said: what is asked then is in a batch of its own."""
    job = {"name": "numbers", "kind": "generate", "input": "items.jsonl", "output": "numbers.jsonl", "prompt": "Number of: {text}"}
    return {"jobs": [{**job, "schema": SCHEMA, "llm": model(server, "openai", "c", delivery)}]}


def questions_and_answers(server: FakeServer, delivery: str) -> dict[str, Any]:
    """Questions that wait for their vectors, and then for answers from their hits. The collection is filled online, by the same model."""
    embedders = {name: model(server, "openai", "m", way) for name, way in (("now", "online"), ("later", delivery))}
    store = {"path": "index.db"}
    fill = {"name": "fill", "kind": "ingest", "input": {"items": ["Cats purr.", "Dogs bark."]}, "embedder": "now", "store": store}
    ask = {"name": "ask", "kind": "query", "needs": ["fill"], "input": "items.jsonl", "output": "asked.jsonl", "store": store}
    return {"embedders": embedders, "jobs": [fill, {**ask, "embedder": "later", "llm": model(server, "anthropic", "c", delivery)}]}


CASES = {
    "side-by-side": Case(side_by_side, ("vectors.jsonl", "answers.jsonl"), batches=2, requests=2 * ITEMS, share=1.0),
    "repairs": Case(with_repairs, ("numbers.jsonl",), batches=2, requests=ITEMS + ITEMS // 4, share=0.5),
    "questions": Case(questions_and_answers, ("asked.jsonl",), batches=2, requests=2 * ITEMS, share=0.5),
}


LOOPS = [
    pytest.param(case, loop, id=f"{name}-{loop}")
    for name, case in CASES.items()
    for loop in range(-(-int(KILLS * case.share) // OF_A_LOOP) or 1)
]


def answer(document: Mapping[str, Any]) -> str | Said:
    """Answer wrongly about every fourth item, until the mistake is said."""
    first = document["messages"][0]["content"]
    if not isinstance(first, str) or not first.startswith("Number of: "):
        return usual_answer(document)
    number = int(first.rpartition(" ")[2])
    return json.dumps({"n": number if number % 4 or len(document["messages"]) > 1 else "?"})


def write_jobs(folder: Path, parts: dict[str, Any], word: str) -> None:
    folder.mkdir()
    rows = [{"id": str(number), "text": f"{word} text {number}"} for number in range(ITEMS)]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "jobs.yaml").write_text(json.dumps(parts))


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "asyncrun", "run", "--quiet"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, (told, SEED)


def kill_somewhere(process: subprocess.Popen[str], server: FakeServer, books: Books, later: int, rng: random.Random) -> int:
    """End a run at a random instant, mostly after some of the batches that are to come `later`; returns how it has ended."""
    begun, enough = len(server.requests), len(books.created) + rng.randint(0, later)
    if rng.random() < 0.8:
        while (len(server.requests) == begun or len(books.created) < enough) and process.poll() is None:
            time.sleep(0.002)
    time.sleep(rng.random() ** 2 * 1.2)
    # Before the interpreter has begun nobody takes a signal in hand.
    process.send_signal(rng.choice(SIGNALS) if len(server.requests) > begun else signal.SIGKILL)
    told, _ = process.communicate(timeout=120)
    assert process.returncode in (0, 75, 130, 143, -9, -2, -15), (told, SEED)
    return process.returncode


@pytest.mark.skipif(not KILLS, reason="it takes minutes: ASYNCRUN_TEST_DEEP=1, or ASYNCRUN_TEST_KILLS=200")
@pytest.mark.parametrize(("case", "loop"), LOOPS)
def test_kills_at_random_instants_submit_nothing_twice_and_lose_nothing(tmp_path: Path, case: Case, loop: int) -> None:
    began, rng, seen = time.monotonic(), random.Random(SEED + loop), Figures()
    servers = BatchServers(speed=SPEED)
    books = servers.books
    with FakeServer(dimensions=DIMENSIONS, latency=0.04, chat=Chat(answer=answer), batches=servers).in_thread() as server:
        while seen.kills < OF_A_LOOP:
            word = f"round {seen.rounds}"
            folder, online = tmp_path / str(seen.rounds), tmp_path / f"{seen.rounds}-online"
            write_jobs(folder, case.parts(server, "batch"), word)
            code: int | None = None
            while code != 0:
                process, left = start(folder), case.batches * (seen.rounds + 1) - len(books.created)
                if seen.kills < OF_A_LOOP:
                    code = kill_somewhere(process, server, books, left, rng)
                    seen.kills += code != 0
                    seen.early += code != 0 and len(books.created) < case.batches * (seen.rounds + 1)
                else:
                    finish(process)
                    code = 0
            seen.rounds += 1
            write_jobs(online, case.parts(server, "online"), word)
            finish(start(online))
            for name in case.outputs:
                assert (folder / name).read_bytes() == (online / name).read_bytes(), (name, SEED)
                assert len((folder / name).read_bytes().splitlines()) == ITEMS, (name, SEED)
        assert books.submitted_twice() == [], SEED
        assert books.paid_twice() == [], SEED
        assert len(books.billed) == case.requests * seen.rounds, SEED
        assert len(books.created) == case.batches * seen.rounds, SEED
    kills = f"{seen.kills} kills ({seen.early} before all was submitted)"
    took = time.monotonic() - began
    print(f"seed {SEED}, {case.parts.__name__} {loop}: {kills} in {seen.rounds} rounds of {case.batches} batches, {took:.0f} s")
