"""Two runs compared: what is told as a change, in which order, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asyncrun.trace.run_comparison import Change, changes_between, measure_jobs, measure_run, settings_between
from asyncrun.trace.run_record import RunRecord, Span

from .conftest import SpanMaker


def night(batches: int, seconds: float, **attributes: float) -> list[Span]:
    """One job that sends batches of 10 items, one after the other."""
    maker = SpanMaker()
    counts = {"items": batches * 10, "cached": 0, "tokens": batches * 1000, "requests": batches, "failed": 0}
    job = maker.add("async_job", 0, batches * seconds, name="notes", **counts)
    for number in range(batches):
        maker.add("embedding", number * seconds, (number + 1) * seconds, job, tokens=1000, **attributes)
    return maker.spans


def noticed(before: list[Span], after: list[Span]) -> list[str]:
    changes = changes_between(measure_run(before), measure_run(after))
    return [f"{change.group} {change.name}" for change in changes if change.noticeable]


def test_more_work_at_the_same_rate_is_told_as_work() -> None:
    assert noticed(night(10, 1), night(20, 1)) == ["time seconds", "work items", "work new items", "work tokens", "work requests"]


def test_the_same_work_with_longer_waits_is_told_as_rate_waits_and_batches() -> None:
    slower = night(10, 2, waits__rate=1.0, retries=1)
    assert noticed(night(10, 1), slower) == [
        *("time seconds", "rate new items", "rate tokens", "waits rate"),
        *("batch p50", "batch p95", "retries retries"),
    ]


def test_equal_runs_have_no_noticeable_change() -> None:
    assert noticed(night(10, 1), night(10, 1.01)) == []


def test_a_run_that_sent_nothing_has_no_rate_to_compare() -> None:
    idle = SpanMaker()
    idle.add("async_job", 0, 1, name="notes", items=100, cached=100, tokens=0, requests=0, failed=0)
    groups = {change.group for change in changes_between(measure_run(night(10, 1)), measure_run(idle.spans))}
    assert groups == {"time", "work", "concurrency"}


def test_a_job_without_an_end_counts_by_its_requests() -> None:
    maker = SpanMaker()
    job = maker.add("async_job", 0, None, name="notes")
    maker.add("embedding", 0, 4, job, items=32, tokens=500, requests=2, retries=1)
    notes = measure_jobs(maker.spans)["notes"]
    assert (notes.items, notes.tokens, notes.requests, notes.retries, notes.seconds) == (32, 500, 2, 1, 4)


def test_only_settings_that_differ_are_told(runs: list[RunRecord]) -> None:
    before = replace(runs[0], settings={"notes.workers": 4, "notes.embedder": "local"}, job_file_hash="a" * 64)
    after = replace(runs[0], settings={"notes.workers": 8, "notes.embedder": "local"}, version="0.2.0", job_file_hash="b" * 64)
    found = [(setting.name, setting.before, setting.after) for setting in settings_between(before, after)]
    assert found == [
        ("version", "0.1.0", "0.2.0"),
        ("job file's content", "a" * 12, "b" * 12),
        ("notes.workers", "4", "8"),
    ]


@pytest.mark.parametrize(("before", "after", "share"), [(2.0, 3.0, 0.5), (0.0, 3.0, None)])
def test_the_share_of_a_change(before: float, after: float, share: float | None) -> None:
    assert Change("work", "items", before, after).share == share


def test_seconds_in_which_the_machine_was_suspended_are_told_last() -> None:
    maker = SpanMaker()
    maker.spans = night(10, 1)
    maker.add("wait", 5, 5, name="suspended for 3600 s", suspended=3600.0)
    assert noticed(night(10, 1), maker.spans) == ["suspended suspended"]


def test_attempts_and_waits_are_part_of_their_batches_and_count_as_nothing_else(trying: list[Span]) -> None:
    run = measure_run(trying)
    assert (run.requests, run.retries, run.batch.p50, run.used.most) == (12, 8, 8.4375, 1)
    assert (run.waits["gate"], run.waits["request"], run.waits["store"], run.suspended) == (8.0, 14.0, 1.25, 28800.0)
