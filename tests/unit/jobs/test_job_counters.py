"""How a job's counts become its status and exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.aio.limits import Limits
from asyncrun.aio.stop import StopRequest
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import SystemClock
from asyncrun.errors import AuthError, OutageError, Place
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.ledger.ledger import Ledger
from asyncrun.ports import Progress
from asyncrun.records import ItemFailure
from asyncrun.results import Status
from asyncrun.usage import Usage, Waits


def counters(total: int, max_failures: Threshold | None = None) -> JobCounters:
    context = JobContext("job", "jobs.yaml/job", Ledger(Path("unused")), StopRequest(), SystemClock(), CallbackManager(), max_failures)
    made = JobCounters(context, "embed", Progress())
    made.start(total)
    return made


def fail(made: JobCounters, times: int) -> None:
    for number in range(times):
        made.fail(ItemFailure(str(number), Place("a"), "refused", "no"))


def test_all_ok_is_succeeded_and_some_failed_is_partial() -> None:
    made = counters(3)
    made.add(ok=3, cached=1)
    assert (made.result().status, made.result().exit_code) == (Status.SUCCEEDED, 0)
    fail(made, 1)
    assert (made.result().status, made.result().exit_code) == (Status.PARTIAL, 3)
    assert made.counts.items == 4


@pytest.mark.parametrize(
    ("max_failures", "failed", "too_many"),
    [
        (Threshold(count=0), 1, True),
        (Threshold(count=2), 2, False),
        (Threshold(count=2), 3, True),
        (Threshold(percent=1), 1, False),
        (Threshold(percent=1), 2, True),
        (None, 9, False),
        (None, 10, True),
    ],
)
def test_past_max_failures_a_job_has_failed(max_failures: Threshold | None, failed: int, too_many: bool) -> None:
    made = counters(10, max_failures)
    fail(made, failed)
    assert (made.too_many() is not None) == too_many


def test_an_outage_stops_a_job_and_a_refused_key_fails_it() -> None:
    assert counters(1).result(error=OutageError("down")).status is Status.STOPPED
    refused = counters(1).result(error=AuthError("no"))
    assert (refused.status, refused.exit_code) == (Status.FAILED, 77)


def test_failures_beyond_what_is_shown_are_still_counted() -> None:
    made = counters(500, Threshold(count=500))
    fail(made, 300)
    result = made.result()
    assert result.counts.failed == 300
    assert len(result.failures) < 300


def test_the_progress_is_told_what_requests_used_and_only_once() -> None:
    used: list[Usage] = []

    class Onlooker(Progress):
        def use(self, task: str, usage: Usage) -> None:
            used.append(usage)

    context = JobContext("job", "jobs.yaml/job", Ledger(Path("unused")), StopRequest(), SystemClock(), CallbackManager(), None)
    made, inner = JobCounters(context, "query", Onlooker()), JobCounters(context, "embed", Progress())
    made.use(Usage(requests=1, tokens=10))
    inner.use(Usage(requests=2, tokens=5))
    made.take(inner)
    assert used == [Usage(requests=1, tokens=10), Usage(requests=2, tokens=5)]
    assert made.result().usage == Usage(requests=3, tokens=15)


@pytest.mark.parametrize(
    ("waits", "named"),
    [
        (Waits(), None),
        (Waits(rate=3.0, request=1.0), "tokens_per_minute"),
        (Waits(queue=3.0, request=1.0), "concurrency"),
        (Waits(rate=1.0, gate=3.0), "gate"),
        (Waits(rate=1.0, request=3.0), "request"),
        (Waits(queue=5.0, compute=3.0), "compute"),
    ],
)
def test_what_most_time_went_to_is_said_a_limit_by_its_name(waits: Waits, named: str | None) -> None:
    made = counters(2)
    made.use(Usage(requests=2, tokens=1000))
    made.spend(waits)
    made.spend(waits)
    assert made.result(limits=Limits(requests_per_minute=60, tokens_per_minute=600)).bound_by == named


def test_a_result_counts_all_failures_by_their_reason_and_has_the_seconds_that_were_waited() -> None:
    scanned, made = counters(200), counters(200)
    fail(scanned, 150)
    scanned.fail(ItemFailure("x", Place("a"), "bad_record", "no"))
    scanned.spend(Waits(rate=1.5))
    made.take(scanned)
    fail(made, 2)
    made.spend(Waits(rate=1.0, request=2.0))
    result = made.result()
    assert len(result.failures) < 152 < result.counts.failed == 153
    assert result.failed_by == {"refused": 152, "bad_record": 1}
    assert result.waits == Waits(rate=2.5, request=2.0)
