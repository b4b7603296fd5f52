"""One sentence of how a run ended, and where its time went."""

from __future__ import annotations

from typing import Any

import pytest

from asyncrun.trace.critical_path import critical_path, parts_of
from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.span_tree import build_forest
from asyncrun.trace.verdict import time_sinks, verdict

from .conftest import SpanMaker

COUNTS = {"items": 1000, "ok": 990, "failed": 8, "skipped": 2, "cached": 0}


@pytest.mark.parametrize(
    ("status", "summary", "said"),
    [
        ("succeeded", {"items": 9, "ok": 9, "cached": 3}, "All 9 items done in 2 s"),
        ("succeeded", {"items": 9, "ok": 8, "skipped": 1, "cached": 3}, "8 of 9 items done, 1 skipped in 2 s"),
        ("succeeded", {"items": 1464, "ok": 1464, "cached": 1464}, "Nothing to do: 1,464 items unchanged in 2 s"),
        ("succeeded", {}, "Nothing to do in 2 s"),
        ("partial", COUNTS, "990 of 1,000 items done, 8 failed, 2 skipped in 2 s"),
        (
            "failed",
            {**COUNTS, "jobs": [{"status": "succeeded"}, {"status": "failed", "reason": "8 of 1000 items failed, 5 may (max_failures)"}]},
            "Failed after 2 s: 8 of 1000 items failed, 5 may (max_failures); 990 items done, 8 failed, 2 skipped",
        ),
        ("stopped", {}, "Stopped after 2 s"),
    ],
)
def test_a_run_that_has_ended_is_one_sentence(status: str, summary: dict[str, Any], said: str) -> None:
    assert verdict(RunRecord("r", 0.0, 2.0, status, 0, 2.0, summary=summary), 5.0) == said


def test_a_live_run_is_told_from_a_dead_one() -> None:
    run = RunRecord("r", 0.0, seen=95.0)
    assert verdict(run, 100.0) == "Running for 1m 40s"
    assert verdict(run, 1000.0) == "No end is recorded: killed, or cut off, after 1m 35s"


def test_the_time_went_to_what_has_most_of_the_critical_path(maker: SpanMaker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    maker.add("embedding", 0, 4, job, waits__rate=3.0, waits__request=1.0)
    maker.add("llm", 4, 9, job, waits__rate=2.5, waits__request=2.5)
    # Not on the path: nobody waited for it.
    maker.add("embedding", 0, 3, job, waits__gate=90.0)
    assert [str(sink) for sink in time_sinks(parts_of(critical_path(build_forest(maker.spans, details=False))))] == [
        "55% waiting for the rate limit in notes",
        "35% requests in notes",
        "10% its own work in notes",
    ]
    assert time_sinks([]) == ()


def test_time_on_the_way_to_workers_is_told_with_what_helps_where_it_is_much(maker: SpanMaker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    maker.add("embedding", 0, 10, job, waits__ship=4.0, waits__compute=6.0)
    assert [str(sink) for sink in time_sinks(parts_of(critical_path(build_forest(maker.spans, details=False))))] == [
        "60% the model at work in notes",
        "40% on the way to workers and back (larger batches, or `--executor local`, make it less) in notes",
    ]


def test_a_little_time_on_the_way_is_told_without_advice(maker: SpanMaker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    maker.add("embedding", 0, 10, job, waits__ship=1.0, waits__compute=9.0)
    sinks = time_sinks(parts_of(critical_path(build_forest(maker.spans, details=False))))
    assert str(sinks[1]) == "10% on the way to workers and back in notes"


def test_time_without_waits_is_that_of_the_event_itself(maker: SpanMaker) -> None:
    maker.add("async_job", 0, 10, name="notes")
    assert [str(sink) for sink in time_sinks(parts_of(critical_path(build_forest(maker.spans))))] == ["100% its own work in notes"]


@pytest.mark.parametrize(
    ("jobs", "told"),
    [
        ([{"total": 9}, {"total": 3}], "Running for 5 s: 4 of 12 items ended, 1 failed"),
        ([{"total": 9}, {"total": None}], "Running for 5 s: 4 items ended, 1 failed"),
    ],
)
def test_a_run_that_goes_on_says_how_far_it_is(jobs: list[dict[str, object]], told: str) -> None:
    run = RunRecord("r", 0.0, seen=5.0, summary={"items": 4, "failed": 1, "jobs": jobs})
    assert verdict(run, 5.0) == told
