import asyncio
import signal

import pytest

from asyncrun.aio.stall_report import (
    describe_wait,
    render_report,
    render_workers,
    report_on_signal,
    suspended_at,
    watch_stalls,
    watch_waits,
)
from asyncrun.aio.worker_state import WorkerState
from asyncrun.testing.clock import FakeClock


async def deep(event: asyncio.Future[None]) -> None:
    await deeper(event)


async def deeper(event: asyncio.Future[None]) -> None:
    await event


@pytest.mark.asyncio
async def test_a_report_groups_slots_by_what_they_wait_for_and_names_place_and_oldest_job() -> None:
    clock, loop = FakeClock(start=100.0), asyncio.get_running_loop()
    jobs = [deep(loop.create_future()) for _ in range(3)]
    for job in jobs:
        job.send(None)
    workers = [
        WorkerState(clock, index=7, start=40.0, waits_for="gate", job=jobs[0]),
        WorkerState(clock, index=5, start=30.0, waits_for="gate", job=jobs[1]),
        WorkerState(clock, index=9, start=90.0, job=jobs[2]),
    ]

    first, second, third = render_report(lambda: workers, clock, [None, "rate limit 3 s"]).splitlines()

    assert first.startswith("2 x waiting for gate at aio/test_stall_report.py:")
    assert first.endswith("in deeper (job 5 for 1m 10s)")
    assert second.startswith("1 x waiting for its own work at ")
    assert third == "limiter: rate limit 3 s"
    for job in jobs:
        job.close()


def test_a_job_that_has_not_begun_or_has_ended_stands_nowhere() -> None:
    coroutine = deep(None)  # type: ignore[arg-type]
    coroutine.close()

    assert suspended_at(coroutine) == suspended_at(None) == "not begun or ended"
    assert render_workers([], now=0.0) == []
    assert render_report(list, FakeClock()) == "no job is running"


@pytest.mark.asyncio
async def test_a_standstill_is_told_once_and_again_only_after_something_has_finished() -> None:
    clock, told, ended = FakeClock(auto=False), [], [0]
    workers = [WorkerState(clock, index=0, start=0.0, waits_for="request")]
    task = asyncio.create_task(watch_stalls(lambda: workers, lambda: ended[0], told.append, clock=clock, after=60.0))

    await clock.advance(59)
    assert told == []
    await clock.advance(500)
    assert len(told) == 1
    assert told[0].startswith("nothing has finished for 1m 00s:\n1 x waiting for request")

    ended[0] = 1
    await clock.advance(100)
    assert len(told) == 2

    workers.clear()
    ended[0] = 2
    await clock.advance(1000)
    assert len(told) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
async def test_each_sigusr1_shows_the_report_and_the_former_handler_is_back_afterwards() -> None:
    shown: list[int] = []
    former = signal.getsignal(signal.SIGUSR1)
    with report_on_signal(lambda: shown.append(1)) as handled:
        assert handled
        for count in (1, 2):
            signal.raise_signal(signal.SIGUSR1)
            while len(shown) < count:
                await asyncio.sleep(0)

    assert signal.getsignal(signal.SIGUSR1) == former


def worker(waits_for: str | None = None, words: str | None = None, *, idle: int = 0) -> WorkerState:
    return WorkerState(FakeClock(), waits_for=waits_for, words=None if words is None else lambda: words, idle=idle)


@pytest.mark.parametrize(
    ("workers", "told"),
    [
        ([], None),
        ([worker("request")], None),
        ([worker("request"), worker("limiter", "rate limit 3 s", idle=1)], "rate limit 3 s"),
        ([worker("request"), worker("backoff", "another attempt 2 s", idle=1)], None),
        ([worker("backoff", "another attempt 2 s", idle=1)], "another attempt 2 s"),
        ([worker("backoff", "another attempt 2 s", idle=1), worker("gate", "throttled 9 s", idle=1)], "throttled 9 s"),
        ([worker("limiter", None, idle=1)], None),
    ],
)
def test_a_limit_holds_a_job_up_at_once_and_another_wait_when_nothing_is_at_work(workers: list[WorkerState], told: str | None) -> None:
    assert describe_wait(workers) == told


@pytest.mark.asyncio
async def test_what_a_job_waits_for_is_told_every_second_changed_or_not() -> None:
    clock, told = FakeClock(), []
    waiter = worker("limiter", "rate limit 3 s", idle=1)
    workers = [waiter]

    async def look() -> None:
        await clock.sleep(2.5)
        workers.clear()
        await clock.sleep(1.0)

    watching = asyncio.create_task(watch_waits(lambda: workers, told.append, clock=clock))
    await look()
    watching.cancel()
    assert told == ["rate limit 3 s", "rate limit 3 s", None]
