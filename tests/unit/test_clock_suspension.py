"""A machine that was suspended is no outage: it is noticed by its clocks, and what it broke counts as no attempt."""

from __future__ import annotations

import asyncio
import random

import pytest

from asyncrun.aio.attempts import AttemptCounts, with_retries
from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.aio.pool import outcomes
from asyncrun.aio.retry import CircuitBreaker, FailureClass, RetryBudget, RetryPolicy
from asyncrun.clock import Moment, seconds_suspended, watch_suspension
from asyncrun.testing.clock import FakeClock

HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("wall", "monotonic", "seconds"),
    [(10, 10, 0), (HOUR + 10, 10, HOUR), (14.5, 10, 0), (-DAY, 10, 0), (6, 0, 6)],
    ids=["nothing", "an hour", "a time server", "set back", "a nap"],
)
def test_only_a_wall_clock_that_is_ahead_means_that_the_machine_was_suspended(wall: float, monotonic: float, seconds: float) -> None:
    assert seconds_suspended(Moment(1000, 50), Moment(1000 + wall, 50 + monotonic)) == seconds


@pytest.mark.asyncio
async def test_each_suspension_is_noticed_once() -> None:
    clock, noticed = FakeClock(auto=False), []

    async def resumed(seconds: float) -> None:
        noticed.append((clock.monotonic(), seconds))

    watcher = asyncio.create_task(watch_suspension(clock, resumed))
    await clock.advance(10)
    clock.jump_wall(HOUR)
    await clock.advance(10)
    clock.jump_wall(-DAY)
    await clock.advance(10)
    clock.jump_wall(8)
    await clock.advance(10)
    watcher.cancel()
    assert noticed == [(11.0, HOUR), (31.0, 8.0)]


class Asleep:
    """An endpoint that loses its first calls, while the machine is suspended for some seconds each time."""

    def __init__(self, jumps: list[float], failure: FailureClass = FailureClass.TRANSIENT) -> None:
        self.clock, self.jumps, self.failure = FakeClock(), jumps, failure
        self.counts, self.budget, self.circuit = AttemptCounts(), RetryBudget(), CircuitBreaker(2)

    async def call(self, _: int) -> str:
        await self.clock.sleep(1)
        if self.jumps:
            self.clock.jump_wall(self.jumps.pop(0))
            raise ConnectionResetError
        return "ok"

    async def ask(self, attempts: int = 1) -> str:
        return await with_retries(
            self.call,
            policy=RetryPolicy(attempts=attempts),
            budget=self.budget,
            circuit=self.circuit,
            limiter=Limiter(Limits(), self.clock, random.Random(1)),
            clock=self.clock,
            rng=random.Random(1),
            tokens=0,
            inputs=1,
            classify=lambda error: (self.failure, None),
            counts=self.counts,
        )


@pytest.mark.asyncio
async def test_what_a_suspension_broke_is_sent_again_and_uses_no_attempt() -> None:
    asleep = Asleep([HOUR, HOUR, DAY])
    assert await asleep.ask(attempts=1) == "ok"
    assert (asleep.counts.attempts, asleep.counts.failures) == (1, 0)
    assert asleep.budget.left == 500
    assert not asleep.circuit.is_open


@pytest.mark.asyncio
async def test_a_failure_without_a_suspension_uses_an_attempt() -> None:
    asleep = Asleep([HOUR, 0.0])
    with pytest.raises(ConnectionResetError):
        await asleep.ask(attempts=1)
    assert (asleep.counts.attempts, asleep.counts.failures) == (1, 1)


@pytest.mark.asyncio
async def test_a_wall_clock_that_runs_too_fast_does_not_keep_a_batch_going_for_ever() -> None:
    asleep = Asleep([HOUR] * 1000)
    with pytest.raises(ConnectionResetError):
        await asleep.ask(attempts=1)
    assert asleep.counts.attempts == 1


@pytest.mark.asyncio
async def test_an_answer_about_the_request_stays_one() -> None:
    asleep = Asleep([HOUR], FailureClass.AUTH)
    with pytest.raises(ConnectionResetError):
        await asleep.ask(attempts=5)
    assert asleep.counts.attempts == 1


@pytest.mark.asyncio
async def test_the_outcome_of_a_job_counts_it_as_no_attempt_either() -> None:
    asleep = Asleep([HOUR])
    async with outcomes([asleep.ask]) as answered:
        [outcome] = [outcome async for outcome in answered]
    assert outcome.attempts == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_wall_clock_that_jumps_by_a_day_changes_no_wait(jump: float) -> None:
    """A backoff, a rate and a gate last as long as without the jump."""

    async def times(jump: float) -> list[float]:
        clock, ends = FakeClock(), []
        limiter = Limiter(Limits(requests_per_minute=60), clock, random.Random(1))

        async def job(number: int) -> None:
            async with limiter.permit() as permit:
                await clock.sleep(0.5)
                if number == 5:
                    clock.jump_wall(jump)
                    permit.throttled(3.0)
                else:
                    permit.succeeded()
            ends.append(clock.monotonic())

        await run_jobs([job(number) for number in range(20)], workers=4)
        return ends

    assert await times(jump) == await times(0.0)
