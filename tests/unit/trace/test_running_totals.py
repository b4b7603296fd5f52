"""What a run that goes on has done so far: sums that end as its summary does, and a share that only grows."""

from __future__ import annotations

from asyncrun.results import Counts, JobResult, Status
from asyncrun.trace.running_totals import MOST_JOBS, RunningTotals
from asyncrun.usage import Usage


def started(*names: str) -> RunningTotals:
    totals = RunningTotals()
    totals.run_started("r", names)
    return totals


def test_before_a_run_begins_nothing_is_told() -> None:
    assert RunningTotals().summary() == {}


def test_items_and_usage_of_all_jobs_are_added_up() -> None:
    totals = started("a", "b")
    totals.task_started("a", 4)
    totals.task_started("b", 2)
    totals.advance("a", Counts(items=2, ok=1, failed=1, cached=1))
    totals.advance("b", Counts(items=1, skipped=1))
    totals.use("a", Usage(requests=1, retries=2, tokens=30, cost=0.5))
    totals.use("a", Usage(requests=1, tokens=3))
    told = totals.summary()
    assert {name: told[name] for name in ("items", "ok", "failed", "skipped", "cached")} == {
        "items": 3,
        "ok": 1,
        "failed": 1,
        "skipped": 1,
        "cached": 1,
    }
    assert (told["requests"], told["retries"], told["tokens"], told["cost"]) == (2, 2, 33, 0.5)
    assert [(job["name"], job["status"], job["items"], job["total"]) for job in told["jobs"]] == [
        ("a", "running", 2, 4),
        ("b", "running", 1, 2),
    ]
    assert told["share"] == 0.5


def test_each_job_counts_the_same_and_one_that_has_ended_counts_whole() -> None:
    totals = started("a", "b", "c", "d")
    totals.task_finished("a", JobResult("a", "embed", Status.FAILED, 1, counts=Counts(items=1, ok=1), usage=Usage(requests=7)))
    totals.task_started("b", 10)
    totals.advance("b", Counts(items=5, ok=5))
    told = totals.summary()
    assert (told["share"], told["items"], told["requests"], told["cost"]) == (0.375, 6, 7, None)
    assert [job["status"] for job in told["jobs"]] == ["failed", "running", "pending", "pending"]


def test_of_many_jobs_those_that_have_begun_are_told_and_all_are_counted() -> None:
    totals = started(*(f"job-{number}" for number in range(MOST_JOBS + 50)))
    totals.task_started(f"job-{MOST_JOBS + 49}", None)
    totals.advance("job-3", Counts(items=1, ok=1))
    told = totals.summary()
    assert (len(told["jobs"]), told["jobs"][0]["name"], told["items"]) == (MOST_JOBS, f"job-{MOST_JOBS + 49}", 1)
