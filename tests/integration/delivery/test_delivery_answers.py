"""`delivery: batch` on a model that is asked: what came by batches is done in that run, whatever it took, and counts as such."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncrun
from asyncrun.app.report import Report
from asyncrun.jobs.run_options import Retry, RunOptions
from asyncrun.testing import Chat
from asyncrun.testing.batch_servers import BatchServers
from asyncrun.testing.server import FakeServer
from tests.integration.delivery.short_runs import until_submitted

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def serving(answer: Any, speed: float = 20_000.0) -> FakeServer:
    return FakeServer(chat=Chat(answer=answer), batches=BatchServers(speed=speed))


def run(folder: Path, server: FakeServer, *, options: RunOptions | None = None, delivery: str = "batch", **more: object) -> Report:
    llm = {"provider": "openai", "model": "m", "base_url": server.vendor_url("openai"), "api_key": "k", "delivery": delivery}
    job = {"name": "tag", "kind": "generate", "input": {"items": [f"Note {number}" for number in range(4)]}, "llm": llm}
    job |= {"prompt": "Number of: {text}", "schema": SCHEMA, "output": "rows.jsonl"}
    file = folder / "jobs.yaml"
    file.write_text(json.dumps({"jobs": [job | more]}))
    return asyncrun.run(file, options=options or RunOptions())


def repaired(document: Mapping[str, Any]) -> str:
    """Answer wrongly about one note, until the mistake is said."""
    fits = len(document["messages"]) > 1 or "Note 1" not in document["messages"][0]["content"]
    return '{"n": 1}' if fits else '{"n": "one"}'


def never_right(document: Mapping[str, Any]) -> str:
    return '{"n": "one"}' if "Note 1" in document["messages"][0]["content"] else '{"n": 1}'


def test_what_came_by_batches_is_done_in_this_run_with_samples_and_repairs(tmp_path: Path) -> None:
    with serving(repaired).in_thread() as server:
        first = run(tmp_path, server, samples=2).jobs["tag"]
        assert (first.counts.ok, first.counts.cached, first.usage.requests) == (4, 0, 10)
        again = run(tmp_path, server, samples=2).jobs["tag"]
        assert (again.counts.ok, again.counts.cached, again.usage.requests) == (4, 4, 0)


def test_rows_of_an_earlier_run_are_unchanged_beside_those_that_came_by_batches(tmp_path: Path) -> None:
    with serving(repaired).in_thread() as server:
        run(tmp_path, server, input={"items": ["Note 0", "Note 2"]})
        more = run(tmp_path, server).jobs["tag"]
        assert (more.counts.ok, more.counts.cached, more.usage.requests) == (4, 2, 3)


def test_a_row_that_failed_beside_others_is_not_in_doubt(tmp_path: Path) -> None:
    with serving(never_right).in_thread() as server:
        first = run(tmp_path, server)
        assert (first.exit_code, first.jobs["tag"].counts.ok, first.jobs["tag"].counts.cached) == (3, 3, 0)
        assert server.batches is not None
        batches = len(server.batches.books.created)
        again = run(tmp_path, server)
        assert (again.exit_code, again.jobs["tag"].usage.requests, len(server.batches.books.created)) == (3, 0, batches)


def test_where_a_batch_accepted_nothing_the_next_run_asks_again(tmp_path: Path) -> None:
    with FakeServer(chat=Chat(max_input_tokens=1), batches=BatchServers(speed=20_000.0)).in_thread() as server:
        assert server.batches is not None
        for runs in (1, 2):
            told = run(tmp_path, server).jobs["tag"]
            assert (told.counts.failed, len(server.batches.books.created)) == (4, runs)


def asked_online(server: FakeServer) -> int:
    return sum(request.path.endswith("/chat/completions") for request in server.requests)


def test_a_retry_asks_wrong_answers_again_by_batches_from_their_first_word(tmp_path: Path) -> None:
    with serving(never_right).in_thread() as server:
        assert server.batches is not None
        books = server.batches.books
        run(tmp_path, server)
        batches = len(books.created)
        again = run(tmp_path, server, options=RunOptions(retry=Retry()))
        # The answer is the same wrong one as before, and so is what is asked with its mistake: both are asked again.
        assert (again.exit_code, again.jobs["tag"].usage.requests, asked_online(server)) == (3, 2, 0)
        assert (len(books.created), len(books.billed)) == (batches + 2, 5 + 2)
        [failure] = again.failures("tag")
        assert failure.reason == "bad_answer"
        assert run(tmp_path, server).jobs["tag"].usage.requests == 0


def test_a_retry_that_must_end_finds_its_batch_and_an_answer_that_passes_now(tmp_path: Path) -> None:
    right: list[bool] = []

    def answer(document: Mapping[str, Any]) -> str:
        return '{"n": 1}' if right else never_right(document)

    with serving(answer, speed=1.0).in_thread() as server:
        assert server.batches is not None
        run(tmp_path, server, delivery="online")
        right.append(True)
        online = asked_online(server)
        until_submitted(server.batches.books, lambda seconds: run(tmp_path, server, options=RunOptions(retry=Retry(), max_runtime=seconds)))
        server.batches.advance(3600.0)
        again = run(tmp_path, server, options=RunOptions(retry=Retry()))
        assert (again.exit_code, again.jobs["tag"].counts.ok, again.jobs["tag"].counts.cached) == (0, 4, 3)
        assert (len(server.batches.books.created), asked_online(server)) == (1, online)
