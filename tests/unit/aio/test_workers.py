import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.pool import Outcome, Outcomes, outcomes
from tests.depth import times

from .conftest import Gauge, Held, at_once, collected, double, fail, other_tasks, turns

Order = Literal["input", "completed"]
ORDERS: list[Order] = ["input", "completed"]
Script = tuple[int, str]
scripts: st.SearchStrategy[list[Script]] = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["value", "value", "value", "error", "stubborn"])), max_size=25
)


@pytest.mark.asyncio
async def test_a_job_that_swallows_cancellation_is_awaited_to_its_end() -> None:
    ended = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await turns()
            ended.append(True)

    with pytest.raises(LookupError):
        await run_jobs([stubborn(), fail(LookupError())])
    assert ended == [True]


@pytest.mark.asyncio
async def test_errors_while_stopping_are_reported_and_the_first_stays_the_first(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks_in_cleanup() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("in cleanup")

    with caplog.at_level(logging.WARNING), pytest.raises(LookupError):
        await run_jobs([breaks_in_cleanup(), fail(LookupError())])
    assert "in cleanup" in caplog.text


@pytest.mark.asyncio
async def test_jobs_that_never_wait_leave_turns_to_the_rest_of_the_loop() -> None:
    ticks = 0

    async def ticker() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(ticker())
    await run_jobs((at_once(number) for number in range(50_000)), workers=2)
    other.cancel()
    assert ticks > 3


class Unusual(BaseException):
    pass


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [Unusual(), SystemExit(3), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("waits", [True, False])
async def test_a_base_exception_of_a_job_stops_everything_and_is_raised_itself(error: BaseException, waits: bool) -> None:
    async def raises() -> None:
        raise error

    gauge = Gauge()
    with pytest.raises(type(error)) as caught:
        await run_jobs([gauge.job(), fail(error) if waits else raises(), *gauge.jobs(5)], workers=2)
    assert caught.value is error
    assert (gauge.running, gauge.ended) == (0, 0)
    assert not other_tasks()
    gc.collect()


@pytest.mark.asyncio
async def test_a_hundred_thousand_failing_jobs_end_with_the_first_error() -> None:
    error = LookupError()

    def jobs() -> Iterator[Awaitable[Any]]:
        for _ in range(100_000):
            yield fail(error)

    with pytest.raises(LookupError) as caught:
        await run_jobs(jobs(), workers=1_000)
    assert caught.value is error
    assert not other_tasks()


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
async def test_collecting_does_not_collect_what_ends_the_program(error: BaseException) -> None:
    held = Held(1)
    with pytest.raises(type(error)) as caught:
        await collected(outcomes([held.job(0), fail(error)], on_error="collect"))
    assert caught.value is error
    assert held.cancelled == [0]


@pytest.mark.asyncio
async def test_a_job_that_never_accepts_its_cancellation_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    async def never_ends() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asked.append(True)

    async def only_cleans_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            asked.append(False)

    with caplog.at_level(logging.WARNING):
        async with outcomes([double(0), only_cleans_up(), never_ends()], cleanup_timeout=0.001) as stream:
            await anext(stream)
            await turns()
    assert asked.count(True) == 3
    assert asked.count(False) == 1
    assert "never_ends" in caplog.text
    assert "it is closed" in caplog.text
    assert not other_tasks()


@pytest.mark.asyncio
async def test_being_cancelled_again_while_stopping_cancels_the_jobs_again() -> None:
    asked = []

    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asked.append(True)

    taking = asyncio.create_task(collected(outcomes([stubborn()])))
    for number in (1, 2):
        await turns()
        taking.cancel()
        await turns()
        assert len(asked) == number
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert not other_tasks()


@pytest.mark.asyncio
async def test_a_hundred_thousand_errors_can_be_collected() -> None:
    async def job(index: int) -> None:
        raise LookupError(index)

    jobs = (job(index) for index in range(100_000))
    indices = [outcome.error.args[0] async for outcome in outcomes(jobs, workers=100, on_error="collect") if outcome.error]
    assert indices == list(range(100_000))


class World:
    """Jobs that follow a script, a consumer that follows steps, and what is seen of both."""

    def __init__(self, script: list[Script]) -> None:
        self.running = 0
        self.peak = 0
        self.begun = 0
        self.jobs = [self.job(index, *step) for index, step in enumerate(script)]
        self.taken: list[Outcome[int]] = []
        self.end: str | None = None

    async def job(self, index: int, waits: int, ends: str) -> int:
        self.begun += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            for _ in range(waits):
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    if ends != "stubborn":
                        raise
            if ends == "error":
                raise LookupError(index)
            return index
        finally:
            self.running -= 1

    async def stream(self) -> AsyncIterator[Awaitable[int]]:
        for number, job in enumerate(self.jobs):
            if number % 3 == 0:
                await asyncio.sleep(0)
            yield job

    async def take(self, stream: Outcomes[int], *, cancel: bool) -> None:
        taking = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
        if cancel:
            await turns(2)
            taking.cancel()
        try:
            self.taken.append(await taking)
        except LookupError:
            self.end = "failed"
        except StopAsyncIteration:
            self.end = "ended"
        except asyncio.CancelledError:
            self.end = "left"

    async def step(self, step: str, stream: Outcomes[int]) -> None:
        if step == "wait":
            await turns(3)
        elif step == "leave":
            await stream.aclose()
            self.end = "left"
        else:
            await self.take(stream, cancel=step == "cancel")


@settings(max_examples=times(quick=40, deep=150))
@given(
    script=scripts,
    workers=st.integers(1, 6),
    extra=st.integers(0, 5),
    order=st.sampled_from(ORDERS),
    on_error=st.sampled_from(["raise", "collect"]),
    asynchronous=st.booleans(),
    steps=st.lists(st.sampled_from(["take", "take", "take", "take", "wait", "leave", "cancel"]), max_size=60),
)
def test_whatever_happens_each_job_has_one_outcome_and_nothing_is_left(
    script: list[Script],
    workers: int,
    extra: int,
    order: Order,
    on_error: Literal["raise", "collect"],
    asynchronous: bool,
    steps: list[str],
) -> None:
    async def main() -> None:
        world = World(script)
        jobs = world.stream() if asynchronous else world.jobs
        stream = outcomes(jobs, workers=workers, ahead=workers + extra, order=order, on_error=on_error)
        for step in [*steps, *["take"] * (len(script) + 1)]:
            await world.step(step, stream)
            assert world.begun - len(world.taken) <= workers + extra
            if world.end is not None:
                break
        assert (world.peak <= workers, world.running) == (True, 0)
        assert not other_tasks()
        indices = [outcome.index for outcome in world.taken]
        assert len(set(indices)) == len(indices)
        assert order == "completed" or indices == list(range(len(indices)))
        for outcome in world.taken:
            assert outcome.value == outcome.index if outcome.error is None else outcome.error.args == (outcome.index,)
        errors = any(ends == "error" for _, ends in script)
        if world.end == "ended":
            assert sorted(indices) == list(range(len(script)))
            assert on_error == "collect" or not errors
        assert world.end != "failed" or (on_error == "raise" and errors)
        assert world.end is not None
        # What an asynchronous iterable has made and not yielded is its own.
        for job in world.jobs if asynchronous else []:
            job.close()

    asyncio.run(main(), debug=True)
