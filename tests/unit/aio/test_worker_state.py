import asyncio

import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.pool import outcomes
from asyncrun.aio.worker_state import count_attempt, monitor_workers, waiting
from asyncrun.testing.clock import FakeClock

from .conftest import turns


@pytest.mark.asyncio
async def test_a_monitor_shows_the_jobs_of_all_pools_inside_and_what_they_wait_for() -> None:
    gate = asyncio.Event()

    async def inner() -> None:
        with waiting("request", idle=False):
            await gate.wait()

    async def outer() -> None:
        await run_jobs([inner(), inner()])

    with monitor_workers() as seen:
        calling = asyncio.create_task(run_jobs([outer(), outer()], workers=1))
        await turns()
        assert sorted((worker.index, str(worker.waits_for)) for worker in seen.busy()) == [(0, "None"), (0, "request"), (1, "request")]
        assert seen.finished() == 0
        gate.set()
        await calling
    assert seen.busy() == []
    assert seen.finished() == 6


@pytest.mark.asyncio
async def test_pools_outside_of_the_block_are_not_shown() -> None:
    gate = asyncio.Event()
    before = asyncio.create_task(run_jobs([gate.wait()]))
    await turns()
    with monitor_workers() as seen:
        pass
    after = asyncio.create_task(run_jobs([gate.wait()]))
    await turns()
    assert seen.busy() == []
    gate.set()
    await asyncio.gather(before, after)
    assert seen.finished() == 0


@pytest.mark.asyncio
async def test_what_is_waited_for_is_told_from_the_inside_out() -> None:
    seen = []

    async def job() -> None:
        [worker] = monitor.busy()
        with waiting("limiter"):
            seen.append(worker.waits_for)
            with waiting("gate"):
                seen.append(worker.waits_for)
            seen.append(worker.waits_for)
        seen.append(worker.waits_for)

    with monitor_workers() as monitor:
        await run_jobs([job()])
    assert seen == ["limiter", "gate", "limiter", None]


@pytest.mark.asyncio
async def test_seconds_of_waiting_are_counted_once_however_waits_overlap() -> None:
    clock = FakeClock()
    workers = []

    async def wait(reason: str, begin: float, end: float) -> None:
        await clock.sleep(begin)
        with waiting(reason):
            await clock.sleep(end - begin)

    async def nested() -> None:
        with waiting("limiter"):
            await wait("gate", 1, 3)
            await clock.sleep(1)

    async def side_by_side() -> None:
        await asyncio.gather(wait("limiter", 0, 4), wait("backoff", 1, 3), wait("gate", 2, 5))
        workers.extend(monitor.busy())

    with monitor_workers() as monitor:
        async for outcome in outcomes([nested(), side_by_side()], workers=1, clock=clock):
            assert (outcome.wait, outcome.run) == [(4.0, 0.0), (5.0, 0.0)][outcome.index]
    assert workers[0].waits_for is None


@pytest.mark.asyncio
async def test_outside_of_a_pool_nothing_is_told() -> None:
    clock = FakeClock()
    with monitor_workers() as monitor:
        count_attempt()
        with waiting("limiter"):
            await clock.sleep(1)
    assert (monitor.busy(), monitor.finished()) == ([], 0)


@pytest.mark.asyncio
async def test_a_monitor_around_another_has_its_slots_and_its_ends_too() -> None:
    async def job() -> int:
        return len(outer.busy()) * 10 + len(inner.busy())

    with monitor_workers() as outer:
        with monitor_workers() as inner:
            [counted] = await run_jobs([job()], workers=1)
        await run_jobs([job()], workers=1)
    assert counted == 11
    assert (outer.finished(), inner.finished()) == (2, 1)
