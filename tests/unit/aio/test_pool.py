import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import FrozenInstanceError
from itertools import count
from typing import Any, Literal

import pytest

from asyncrun.aio.pool import Outcome, outcomes
from asyncrun.aio.worker_state import count_attempt, waiting
from asyncrun.testing.clock import FakeClock

from .conftest import Held, collected, double, fail, other_tasks, take_into, turns

Order = Literal["input", "completed"]
ORDERS: list[Order] = ["input", "completed"]


@pytest.mark.asyncio
async def test_outcomes_come_in_the_order_of_the_input_or_as_completed() -> None:
    for order, expected in (("input", [0, 1, 2]), ("completed", [2, 0, 1])):
        held = Held(3)
        taking = asyncio.create_task(collected(outcomes(held.jobs(), workers=3, order=order)))  # type: ignore[arg-type]
        await turns()
        for index in (2, 0, 1):
            held.release(index)
            await turns()
        assert [outcome.index for outcome in await taking] == expected


@pytest.mark.asyncio
async def test_an_outcome_tells_how_its_job_went_and_is_frozen() -> None:
    clock = FakeClock(start=100.0)

    async def job() -> str:
        for _ in range(3):
            count_attempt()
            with waiting("limiter"):
                await clock.sleep(5)
            with waiting("request", idle=False):
                await clock.sleep(1)
        return "value"

    (outcome,) = await collected(outcomes([job()], clock=clock))
    assert outcome == Outcome(index=0, value="value", error=None, attempts=3, start=100.0, wait=15.0, run=3.0)
    assert outcome.result() == "value"
    with pytest.raises(FrozenInstanceError):
        outcome.value = "other"  # type: ignore[misc]


@pytest.mark.asyncio
async def test_times_are_those_of_each_job() -> None:
    clock = FakeClock()

    async def job(seconds: float) -> None:
        await clock.sleep(seconds)

    first, second, third = await collected(outcomes([job(1), job(2), job(4)], workers=2, clock=clock))
    assert [(outcome.start, outcome.run) for outcome in (first, second, third)] == [(0, 1), (0, 2), (1, 4)]
    assert {(outcome.attempts, outcome.wait) for outcome in (first, second, third)} == {(1, 0)}


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ORDERS)
async def test_errors_can_be_collected(order: Order) -> None:
    error = LookupError()
    jobs: list[Any] = [double(1), fail(error), 7, double(2)]
    found = {outcome.index: outcome async for outcome in outcomes(jobs, order=order, on_error="collect")}
    assert [found[index].value for index in range(4)] == [2, None, None, 4]
    assert found[1].error is error
    assert isinstance(found[2].error, TypeError)
    with pytest.raises(LookupError) as caught:
        found[1].result()
    assert caught.value is error


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ORDERS)
async def test_the_first_error_is_raised_after_the_outcomes_before_it(order: Order) -> None:
    error = LookupError()
    held = Held(3)
    taken: list[int] = []

    async def fail_later() -> int:
        await turns()
        raise error

    jobs: list[Any] = [double(0), double(1), held.job(2), fail_later(), *(double(number) for number in range(50))]
    with pytest.raises(LookupError) as caught:
        await take_into(taken, outcomes(jobs, workers=4, order=order, ahead=4))
    assert caught.value is error
    assert taken[:2] == [0, 1]
    assert held.cancelled == [2]
    assert not other_tasks()
    gc.collect()


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ORDERS)
async def test_a_slow_consumer_holds_the_jobs_back(order: Order) -> None:
    made = 0

    def jobs() -> Iterator[Awaitable[int]]:
        nonlocal made
        for number in count():
            made += 1
            yield double(number)

    async with outcomes(jobs(), workers=3, order=order, ahead=5) as stream:
        for taken in range(1, 20):
            await anext(stream)
            await turns()
            assert made == taken + 5


@pytest.mark.asyncio
async def test_in_the_order_of_the_input_others_go_on_so_far_while_the_first_is_slow() -> None:
    held = Held(20)
    held.release(*range(1, 20))
    async with outcomes(held.jobs(), workers=2, order="input", ahead=6) as stream:
        taking = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
        await turns()
        assert held.begun == [0, 1, 2, 3, 4, 5]
        held.release(0)
        assert (await taking).index == 0
        assert [outcome.index async for outcome in stream] == list(range(1, 20))


@pytest.mark.asyncio
async def test_a_job_may_take_so_long_and_no_longer() -> None:
    held = Held(1)

    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "kept its answer"
        return "no"

    async def own_timeout() -> None:
        raise TimeoutError("its own")

    jobs: list[Any] = [held.job(0), double(1), stubborn(), own_timeout()]
    late, quick, kept, own = await collected(outcomes(jobs, timeout=0.05, on_error="collect"))
    assert isinstance(late.error, TimeoutError)
    assert str(late.error) == "job 0 did not end within 0.05 s"
    assert held.cancelled == [0]
    assert (quick.value, kept.value, str(own.error)) == (2, "kept its answer", "its own")
    with pytest.raises(TimeoutError, match="job 0 did not end"):
        await collected(outcomes(Held(1).jobs(), timeout=0.05))


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ORDERS)
async def test_leaving_the_context_cancels_awaits_and_closes_everything(order: Order) -> None:
    held = Held(10)
    held.release(0)
    async with outcomes([held.job(index) for index in range(10)], workers=3, order=order) as stream:
        async for outcome in stream:
            assert outcome.index == 0
            break
        await turns()
    assert sorted(held.cancelled) == [1, 2, 3]
    assert not other_tasks()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    gc.collect()


@pytest.mark.asyncio
async def test_a_plain_break_cancels_everything_too() -> None:
    held = Held(10)
    held.release(0)
    async for _ in outcomes([held.job(index) for index in range(10)], workers=3):
        await turns()
        break
    assert held.begun == [0, 1, 2, 3]
    await turns()
    assert sorted(held.cancelled) == [1, 2, 3]
    assert not other_tasks()
    gc.collect()


@pytest.mark.asyncio
async def test_a_plain_break_ends_generators_too() -> None:
    ended = []

    def jobs() -> Iterator[Awaitable[int]]:
        try:
            for number in count():
                yield double(number)
        finally:
            ended.append("generator")

    async def asynchronous() -> AsyncIterator[Awaitable[int]]:
        try:
            for number in count():
                yield double(number)
        finally:
            await asyncio.sleep(0)
            ended.append("asynchronous generator")

    async for _ in outcomes(jobs()):
        break
    async for _ in outcomes(asynchronous()):
        break
    await turns()
    assert ended == ["generator", "asynchronous generator"]
    assert not other_tasks()


@pytest.mark.asyncio
async def test_a_job_can_close_its_own_stream() -> None:
    held = Held(3)
    streams: list[Any] = []

    async def closes() -> None:
        await turns()
        await streams[0].aclose()

    jobs: list[Any] = [held.job(0), held.job(1), closes(), held.job(2)]
    streams.append(outcomes(jobs))
    assert await collected(streams[0]) == []
    assert sorted(held.cancelled) == [0, 1, 2]
    assert not other_tasks()


@pytest.mark.asyncio
async def test_a_stream_that_is_closed_by_another_task_ends() -> None:
    held = Held(2)
    stream = outcomes(held.jobs())
    taking = asyncio.create_task(collected(stream))
    await turns()
    await stream.aclose()
    assert await taking == []
    assert sorted(held.cancelled) == [0, 1]


@pytest.mark.asyncio
async def test_an_error_of_the_consumer_stops_everything_too() -> None:
    held = Held(10)
    held.release(0)
    with pytest.raises(LookupError):
        async with outcomes([held.job(index) for index in range(10)], workers=3) as stream:
            async for _ in stream:
                raise LookupError
    assert set(held.cancelled) == set(held.begun) - {0}
    assert not other_tasks()
    gc.collect()


@pytest.mark.asyncio
async def test_cancelling_the_consumer_leaves_nothing_running() -> None:
    held = Held(5)
    taking = asyncio.create_task(collected(outcomes([held.job(index) for index in range(5)], workers=2)))
    await turns()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert sorted(held.cancelled) == held.begun == [0, 1]
    assert not other_tasks()
    gc.collect()


@pytest.mark.asyncio
async def test_nothing_begins_before_the_first_outcome_is_asked_for() -> None:
    held = Held(3)
    stream = outcomes([held.job(index) for index in range(3)])
    await turns()
    assert held.begun == []
    await stream.aclose()
    gc.collect()


@pytest.mark.asyncio
async def test_a_cancelled_job_is_an_outcome_of_its_own() -> None:
    gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    gone.cancel()
    jobs: list[Any] = [double(1), gone, double(2)]
    found = await collected(outcomes(jobs, on_error="collect"))
    assert [outcome.value for outcome in found] == [2, None, 4]
    assert isinstance(found[1].error, asyncio.CancelledError)


@pytest.mark.asyncio
async def test_two_tasks_cannot_take_from_one_stream_at_once() -> None:
    held = Held(2)
    async with outcomes(held.jobs(), workers=1) as stream:
        first = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
        await turns()
        with pytest.raises(RuntimeError, match="two tasks"):
            await anext(stream)
        held.release(0, 1)
        assert (await first).index == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be 1 or more"),
        ({"workers": 4, "ahead": 3}, "ahead must be"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"order": "random"}, "order must be"),
        ({"on_error": "ignore"}, "on_error must be"),
    ],
)
async def test_bad_arguments_are_value_errors_at_once_and_no_coroutine_is_left_open(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        outcomes([double(1)], **options)
    gc.collect()


@pytest.mark.asyncio
async def test_a_stream_can_be_made_before_the_loop_runs() -> None:
    async def make() -> Any:
        return outcomes(double(number) for number in range(3))

    stream = await make()
    assert [outcome.value for outcome in await collected(stream)] == [0, 2, 4]
