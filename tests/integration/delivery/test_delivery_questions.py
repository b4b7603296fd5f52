"""`delivery: batch` on the llm of a query job: its answers wait in batches, and its rows are those of a run online."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import asyncrun
from asyncrun.app.report import Report
from asyncrun.jobs.run_options import Retry, RunOptions
from asyncrun.testing import Chat
from asyncrun.testing.batch_servers import BatchFaults, BatchServers
from asyncrun.testing.server import FakeServer
from tests.integration.delivery.short_runs import until_submitted

TEXTS = [f"this is text {number}" for number in range(12)]
STORE = {"type": "sqlite", "path": "index.db"}
FILL = {"name": "fill", "kind": "ingest", "input": {"items": TEXTS}, "store": STORE}


def serving(speed: float = 3000.0, chat: Chat | None = None, **faults: Any) -> FakeServer:
    return FakeServer(chat=chat or Chat(), batches=BatchServers(speed=speed, faults=BatchFaults(**faults)))


def model(server: FakeServer, **more: object) -> dict[str, object]:
    return {"provider": "openai", "model": "m", "base_url": server.vendor_url("openai"), "api_key": "k", "delivery": "batch", **more}


def llm(server: FakeServer, **more: object) -> dict[str, object]:
    return model(server, price_per_million_tokens={"input": 1.0, "output": 2.0}, **more)


def ask(folder: Path, server: FakeServer, *, options: RunOptions | None = None, **more: object) -> Report:
    job = {"name": "ask", "kind": "query", "input": {"items": TEXTS}, "store": STORE, "output": "answers.jsonl"}
    entry = {**job, "embedder": model(server, delivery="online"), "llm": llm(server), "needs": ["fill"], **more}
    file = folder / "jobs.yaml"
    file.write_text(json.dumps({"jobs": [{**FILL, "embedder": entry["embedder"]}, entry]}))
    return asyncrun.run(file, options=options or RunOptions())


def asked_online(server: FakeServer) -> int:
    return sum(request.path.endswith("/chat/completions") for request in server.requests)


def test_answers_wait_and_the_rows_are_those_of_a_run_online_for_half_the_price(tmp_path: Path) -> None:
    with serving(speed=30.0).in_thread() as server:
        assert server.batches is not None
        first = until_submitted(server.batches.books, lambda seconds: ask(tmp_path, server, options=RunOptions(max_runtime=seconds)))
        assert "1 batch of 12 requests is at 127.0.0.1" in str(first.jobs["ask"].reason)
        server.batches.advance(600.0)
        second = ask(tmp_path, server).jobs["ask"]
        assert (second.exit_code, second.counts.ok, second.counts.cached) == (0, 12, 0)
        assert (asked_online(server), len(server.batches.books.created), server.batches.books.paid_twice()) == (0, 1, [])
        assert second.delivery is not None
        assert (second.delivery.batches, second.delivery.rows, second.delivery.waiting) == (0, 12, 0)
        again = ask(tmp_path, server).jobs["ask"]
        assert (again.counts.ok, again.counts.cached, again.usage.requests) == (12, 12, 0)
        (tmp_path / "online").mkdir()
        online = ask(tmp_path / "online", server, llm=llm(server, delivery="online")).jobs["ask"]
        assert asked_online(server) == 12
    assert (tmp_path / "answers.jsonl").read_bytes() == (tmp_path / "online" / "answers.jsonl").read_bytes()
    assert second.usage.cost == pytest.approx((online.usage.cost or 0.0) / 2)


def test_questions_wait_first_and_their_answers_then(tmp_path: Path) -> None:
    with serving(speed=20_000.0).in_thread() as server:
        told = ask(tmp_path, server, embedder=model(server), input={"items": ["text 3", "text 3", "text 4"]}).jobs["ask"]
        assert (told.exit_code, told.counts.ok) == (0, 3)
        assert asked_online(server) == 0
        assert not [request for request in server.requests if request.path.endswith("/embeddings")]
        assert told.delivery is not None
        assert (told.delivery.batches, told.delivery.rows) == (2, 4)


def test_questions_by_words_alone_are_answered_by_batches(tmp_path: Path) -> None:
    with serving(speed=20_000.0).in_thread() as server:
        told = ask(tmp_path, server, search="keyword", deadline="40h").jobs["ask"]
        assert (told.exit_code, told.counts.ok, asked_online(server)) == (0, 12, 0)


def test_what_a_batch_leaves_is_asked_online_where_the_job_says_so(tmp_path: Path) -> None:
    with serving(speed=200_000.0, first=1, stragglers=0.3).in_thread() as server:
        assert server.batches is not None
        told = ask(tmp_path, server, stragglers="online").jobs["ask"]
        assert (told.exit_code, told.counts.ok, len(server.batches.books.created)) == (0, 12, 1)
        assert 0 < asked_online(server) < 12


def test_a_deadline_that_leaves_no_time_for_a_batch_asks_all_online(tmp_path: Path) -> None:
    with serving().in_thread() as server:
        assert server.batches is not None
        assert ask(tmp_path, server, deadline="30m").exit_code == 0
        assert (server.batches.books.created, asked_online(server)) == ([], 12)


def test_a_budget_holds_over_the_answers_in_a_batch(tmp_path: Path) -> None:
    with serving(speed=20_000.0).in_thread() as server:
        assert server.batches is not None
        told = ask(tmp_path, server, budget={"tokens": 1000}).jobs["ask"]
        assert told.exit_code == 4
        assert 0 < len(server.batches.books.billed) < 12


def test_a_prompt_that_is_refused_in_a_batch_is_one_failed_question_and_is_not_sent_again(tmp_path: Path) -> None:
    long = "word " * 3000
    with serving(speed=20_000.0, chat=Chat(max_input_tokens=1500)).in_thread() as server:
        assert server.batches is not None
        for batches in (1, 1):
            told = ask(tmp_path, server, input={"items": [*TEXTS, long]}, search="keyword").jobs["ask"]
            assert (told.exit_code, told.counts.ok, told.failures[0].id) == (3, 12, "items#13")
            assert (len(server.batches.books.created), asked_online(server)) == (batches, 0)
        ask(tmp_path, server, input={"items": [*TEXTS, long]}, search="keyword", options=RunOptions(retry=Retry()))
        assert (len(server.batches.books.created), asked_online(server)) == (2, 0)


def test_a_retry_that_waits_is_still_one_of_the_same_question(tmp_path: Path) -> None:
    job = {"input": {"items": [*TEXTS, "word " * 3000]}, "search": "keyword"}
    with serving(speed=1.0, chat=Chat(max_input_tokens=1500)).in_thread() as server:
        assert server.batches is not None
        assert ask(tmp_path, server, llm=llm(server, delivery="online"), **job).exit_code == 3
        online = asked_online(server)
        until_submitted(
            server.batches.books, lambda seconds: ask(tmp_path, server, options=RunOptions(retry=Retry(), max_runtime=seconds), **job)
        )
        server.batches.advance(3600.0)
        told = ask(tmp_path, server, options=RunOptions(retry=Retry()), **job).jobs["ask"]
        assert (told.exit_code, told.counts.ok, told.counts.failed) == (3, 12, 1)
        assert (len(server.batches.books.created), asked_online(server)) == (1, online)
