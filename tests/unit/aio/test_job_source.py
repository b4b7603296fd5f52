import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from itertools import count
from typing import Any, Literal

import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.pool import outcomes

from .conftest import Gauge, collected, double, fail, other_tasks, take_into, turns

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="outside")


@pytest.mark.asyncio
async def test_any_iterable_of_jobs_is_taken() -> None:
    async def asynchronous() -> AsyncIterator[Awaitable[int]]:
        for number in range(5):
            await asyncio.sleep(0)
            yield double(number)

    expected = [0, 2, 4, 6, 8]
    assert await run_jobs(tuple(double(number) for number in range(5))) == expected
    assert await run_jobs(double(number) for number in range(5)) == expected
    assert await run_jobs(map(double, range(5))) == expected
    assert await run_jobs(asynchronous()) == expected


@pytest.mark.asyncio
async def test_jobs_are_made_only_as_slots_free_up() -> None:
    gauge = Gauge()
    made = 0

    def jobs() -> Iterator[Awaitable[int]]:
        nonlocal made
        for _ in range(10):
            made += 1
            yield gauge.job()

    calling = asyncio.create_task(run_jobs(jobs(), workers=3))
    await turns()
    assert made == 3
    gauge.release.set()
    await calling
    assert made == 10


@pytest.mark.asyncio
async def test_an_asynchronous_iterable_is_read_only_as_slots_free_up() -> None:
    gauge = Gauge()
    made = 0

    async def jobs() -> AsyncIterator[Awaitable[int]]:
        nonlocal made
        for _ in range(10):
            made += 1
            yield gauge.job()

    calling = asyncio.create_task(run_jobs(jobs(), workers=3))
    await turns()
    assert (made, gauge.running) == (3, 3)
    gauge.release.set()
    assert len(await calling) == 10


@pytest.mark.asyncio
async def test_an_iterable_that_holds_a_context_variable_finds_it_again() -> None:
    seen = []

    def jobs() -> Iterator[Awaitable[int]]:
        token = VARIABLE.set("iterable")
        for number in range(5):
            yield double(number)
            seen.append(VARIABLE.get())
        VARIABLE.reset(token)

    await run_jobs(jobs(), workers=2)
    assert seen == ["iterable"] * 5


@pytest.mark.asyncio
async def test_tasks_among_the_jobs_are_cancelled_and_cleaned_up_too() -> None:
    gauge = Gauge()
    tasks = [asyncio.create_task(gauge.job()) for _ in range(3)]
    await turns()
    with pytest.raises(LookupError):
        await run_jobs([fail(LookupError()), *tasks], workers=1)
    assert (gauge.running, gauge.cleaned) == (0, 3)


@pytest.mark.asyncio
async def test_an_endless_generator_is_closed_by_the_first_error() -> None:
    closed = []

    def jobs() -> Iterator[Awaitable[Any]]:
        try:
            yield double(1)
            yield fail(LookupError())
            for number in count():
                yield double(number)
        finally:
            closed.append(True)

    with pytest.raises(LookupError):
        await run_jobs(jobs(), workers=2)
    assert closed == [True]


@pytest.mark.asyncio
@pytest.mark.parametrize("workers", [1, 3])
async def test_an_iterable_that_raises_midway_stops_everything_and_its_error_is_raised(workers: int) -> None:
    gauge = Gauge()
    error = OSError("unreadable")

    def jobs() -> Iterator[Awaitable[Any]]:
        yield double(1)
        yield gauge.job() if workers > 1 else double(2)
        raise error

    async def asynchronous() -> AsyncIterator[Awaitable[Any]]:
        for job in jobs():
            yield job

    with pytest.raises(OSError) as caught:
        await run_jobs(jobs(), workers=workers)
    assert caught.value is error
    with pytest.raises(OSError) as caught:
        await run_jobs(asynchronous(), workers=workers)
    assert caught.value is error
    assert gauge.running == 0
    assert not other_tasks()


@pytest.mark.asyncio
async def test_what_cannot_be_iterated_over_is_a_type_error() -> None:
    for jobs in (7, double(1), None):
        with pytest.raises(TypeError, match="jobs must be an iterable"):
            await run_jobs(jobs)  # type: ignore[arg-type]
    gc.collect()


@pytest.mark.asyncio
async def test_an_asynchronous_iterable_is_read_from_beginning_to_end_in_one_task() -> None:
    tasks = set()

    async def jobs() -> AsyncIterator[Awaitable[int]]:
        async with asyncio.timeout(60), asyncio.TaskGroup():
            for number in range(20):
                tasks.add(asyncio.current_task())
                yield double(number)

    found = await collected(outcomes(jobs(), workers=3, order="completed"))
    assert sorted(outcome.value for outcome in found) == [2 * number for number in range(20)]
    assert len(tasks) == 1


@pytest.mark.asyncio
async def test_a_slow_iterable_is_waited_for_while_jobs_end() -> None:
    arrived = asyncio.Event()

    async def jobs() -> AsyncIterator[Awaitable[int]]:
        yield double(0)
        await arrived.wait()
        yield double(1)

    async with outcomes(jobs(), workers=5) as stream:
        assert (await anext(stream)).value == 0
        arrived.set()
        assert [outcome.value async for outcome in stream] == [2]


@pytest.mark.asyncio
async def test_an_iterable_that_never_accepts_its_cancellation_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    let_go = asyncio.Event()

    async def jobs() -> AsyncIterator[Awaitable[int]]:
        yield double(0)
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()

    with caplog.at_level(logging.WARNING):
        async with outcomes(jobs(), cleanup_timeout=0.001) as stream:
            await anext(stream)
            await turns()
    assert "left behind" in caplog.text
    let_go.set()
    await turns()
    assert not other_tasks()


@pytest.mark.asyncio
@pytest.mark.parametrize("on_error", ["raise", "collect"])
async def test_an_iterable_that_raises_is_told_after_the_jobs_that_had_begun(on_error: Literal["raise", "collect"]) -> None:
    error = OSError()

    def jobs() -> Iterator[Awaitable[int]]:
        yield double(0)
        yield double(1)
        raise error

    async def asynchronous() -> AsyncIterator[Awaitable[int]]:
        for job in jobs():
            yield job

    sources: list[Callable[[], Any]] = [jobs, asynchronous]
    for source in sources:
        taken: list[int] = []
        with pytest.raises(OSError) as caught:
            await take_into(taken, outcomes(source(), on_error=on_error))
        assert caught.value is error
        assert taken == [0, 1] or on_error == "raise"
    assert not other_tasks()
