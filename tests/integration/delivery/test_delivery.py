"""`delivery: batch` against the fake servers: the same rows as online for half the price, in as many runs as it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import asyncrun
from asyncrun.app.recorded_runs import read_trace
from asyncrun.app.report import Report
from asyncrun.jobs.run_options import RunOptions
from asyncrun.testing.batch_servers import BatchFaults, BatchServers
from asyncrun.testing.server import FakeServer
from asyncrun.trace.critical_path import critical_path, parts_of
from asyncrun.trace.span_tree import build_forest
from asyncrun.trace.verdict import time_sinks
from asyncrun.ui.run_end import render_trouble
from tests.integration.delivery.short_runs import until_submitted

TEXTS = [f"this is text {number}" for number in range(12)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def serving(speed: float = 3000.0, **faults: Any) -> FakeServer:
    return FakeServer(batches=BatchServers(speed=speed, faults=BatchFaults(**faults)), max_input_tokens=50)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving().in_thread() as running:
        yield running


def embedder(server: FakeServer, **more: object) -> dict[str, object]:
    base = {"provider": "openai", "model": "m", "base_url": server.vendor_url("openai"), "api_key": "k", "price_per_million_tokens": 1.0}
    return {**base, "delivery": "batch", **more}


def run(folder: Path, *jobs: dict[str, object], **options: Any) -> Report:
    return asyncrun.run({"jobs": list(jobs)}, folder=folder, options=RunOptions(**options))


def embed(server: FakeServer, texts: list[str] = TEXTS, **more: Any) -> dict[str, object]:
    job = {"name": "notes", "kind": "embed", "input": {"items": texts}, "output": "notes.jsonl", "embedder": embedder(server)}
    return {**job, **more}


def test_a_run_that_may_not_wait_leaves_its_batch_and_the_next_one_has_the_rows_of_a_run_online(folder: Path) -> None:
    with serving(speed=30.0).in_thread() as server:
        job = embed(server)
        assert server.batches is not None
        first = until_submitted(server.batches.books, lambda seconds: run(folder, job, max_runtime=seconds))
        assert "1 batch of 12 requests is at 127.0.0.1" in str(first.jobs["notes"].reason)
        server.batches.advance(600.0)
        second = run(folder, job)
        assert (second.exit_code, second.jobs["notes"].counts.ok, second.jobs["notes"].counts.cached) == (0, 12, 0)
        rows = (folder / "notes.jsonl").read_bytes()
        (folder / "online").mkdir()
        online = run(folder / "online", embed(server, embedder=embedder(server, delivery="online")))
        assert rows == (folder / "online" / "notes.jsonl").read_bytes()
        half, whole = second.jobs["notes"].usage.cost, online.jobs["notes"].usage.cost
        assert half == pytest.approx((whole or 0.0) / 2)
        assert server.batches.books.paid_twice() == []


def test_answers_that_batches_have_brought_in_this_run_are_no_cached_ones(folder: Path, server: FakeServer) -> None:
    llm = {**embedder(server), "price_per_million_tokens": {"input": 1.0, "output": 1.0}}
    job = {"name": "short", "kind": "generate", "input": {"items": TEXTS}, "llm": llm, "prompt": "Sum up: {text}", "output": "short.jsonl"}
    more = {**job, "input": {"items": [*TEXTS, "one more"]}}
    told = [run(folder, each).jobs["short"].counts for each in (job, more, more)]
    assert [(counts.ok, counts.cached) for counts in told] == [(12, 0), (13, 12), (13, 13)]


def test_a_run_that_waits_says_so_and_a_job_that_needs_its_rows_is_no_trouble(folder: Path) -> None:
    with serving(speed=1.0).in_thread() as server:
        after = {"name": "after", "kind": "embed", "input": {"path": "notes.jsonl", "text": "id"}, "output": "after.jsonl"}
        for seconds in (1.5, 6.0, 24.0):  # On a busy machine the first run may not come so far.
            report = run(folder, embed(server), {**after, "embedder": embedder(server)}, max_runtime=seconds)
            assert report.exit_code == 75
            assert report.jobs["after"].reason == "notes stopped: max runtime"
            assert not render_trouble(report.ran.result).lines
            _, spans = read_trace(report.ran.state, report.run_id)
            [sink] = time_sinks(parts_of(critical_path(build_forest(spans, details=False))), most=1)
            if sink.what == "waiting for batches":
                break
    assert (sink.what, sink.job) == ("waiting for batches", "notes")


def test_documents_and_questions_go_into_batches_too(folder: Path, server: FakeServer) -> None:
    store = {"type": "sqlite", "path": "index.db"}
    ingest = {"name": "fill", "kind": "ingest", "input": {"items": TEXTS}, "store": store, "embedder": embedder(server)}
    query = {**embed(server, ["this is text 3", "unseen"]), "name": "ask", "kind": "query", "store": store, "needs": ["fill"]}
    report = run(folder, ingest, query)
    assert report.exit_code == 0, report.jobs
    assert next(row["hits"][0]["text"] for row in report.rows("ask")) == "this is text 3"
    assert server.batches is not None
    assert len(server.batches.books.created) == 2
    assert not [request for request in server.requests if request.path.endswith("/embeddings")]


def test_one_text_that_is_refused_is_one_failed_item(folder: Path, server: FakeServer) -> None:
    report = run(folder, embed(server, [*TEXTS, "word " * 200]))
    assert report.exit_code == 3
    [failure] = report.failures("notes")
    assert (failure.id, failure.reason) == ("items#13", "too_long")
    assert run(folder, embed(server, [*TEXTS, "word " * 200])).exit_code == 3
    assert server.batches is not None
    assert len(server.batches.books.created) == 1


def test_a_text_that_is_too_long_is_split_online_where_the_embedder_says_so(folder: Path, server: FakeServer) -> None:
    report = run(folder, embed(server, [*TEXTS, "word " * 200], embedder=embedder(server, on_too_long="split")))
    assert (report.exit_code, report.jobs["notes"].counts.ok) == (0, 13)


def test_stragglers_are_sent_online_where_the_job_says_so(folder: Path) -> None:
    with serving(first=1, stragglers=0.3, speed=200_000.0).in_thread() as server:
        report = run(folder, embed(server, stragglers="online"))
        assert (report.exit_code, report.jobs["notes"].counts.ok) == (0, 12)
        assert server.batches is not None
        assert len(server.batches.books.created) == 1
        assert [request for request in server.requests if request.path.endswith("/embeddings")]


def test_a_deadline_that_leaves_no_time_for_a_batch_sends_all_online(folder: Path, server: FakeServer) -> None:
    assert run(folder, embed(server, deadline="30m")).exit_code == 0
    assert server.batches is not None
    assert server.batches.books.created == []


def test_two_jobs_ask_one_model_by_batches_and_share_its_endpoint(folder: Path, server: FakeServer) -> None:
    llm = {**embedder(server), "price_per_million_tokens": {"input": 1.0, "output": 2.0}}
    base = {"kind": "generate", "input": {"items": TEXTS}, "llm": llm}
    jobs = [{**base, "name": word, "prompt": f"{word}: {{text}}", "output": f"{word}.jsonl"} for word in ("say", "tell")]
    report = run(folder, *jobs)
    assert report.exit_code == 0, report.jobs
    assert [len(list(report.rows(word))) for word in ("say", "tell")] == [12, 12]
    assert server.batches is not None
    assert len(server.batches.books.created) == 2
    assert not [request for request in server.requests if request.path.endswith("/chat/completions")]
    cost = sum(job.usage.cost or 0.0 for job in report.jobs.values())
    assert cost == pytest.approx(server.batches.books.cost(1.0, 2.0))


def test_the_summary_says_what_came_by_batches(folder: Path, server: FakeServer) -> None:
    from asyncrun.ui.run_json import job_document

    told = job_document(run(folder, embed(server)).jobs["notes"])
    assert told["delivery"] == {"batches": 1, "rows": 12, "waiting": 0}
    assert json.dumps(told)


def test_a_job_that_goes_online_says_that_its_batches_are_not_collected(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = folder / "jobs.yaml"
    with serving(speed=1.0).in_thread() as server:
        assert server.batches is not None
        file.write_text(json.dumps({"jobs": [embed(server)]}))
        until_submitted(server.batches.books, lambda seconds: asyncrun.run(file, options=RunOptions(max_runtime=seconds)))
        file.write_text(json.dumps({"jobs": [embed(server, embedder=embedder(server, delivery="online"))]}))
        assert asyncrun.run(file).exit_code == 0
    assert "notes: batches of it wait at their provider, and are not collected with `delivery: online`" in caplog.text
