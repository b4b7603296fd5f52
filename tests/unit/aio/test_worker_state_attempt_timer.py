"""Seconds of an attempt that are not the request's own: making a connection, decoding."""

from __future__ import annotations

import asyncio

import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.worker_state import AttemptTimer, attempt_made_on, monitor_workers, time_spent_on
from asyncrun.testing.clock import FakeClock
from asyncrun.usage import Waits


@pytest.mark.asyncio
async def test_parts_are_counted_apart_from_the_request_also_when_they_fail() -> None:
    clock = FakeClock()
    with AttemptTimer(clock) as spent:
        with pytest.raises(OSError), time_spent_on("connect"):
            await clock.sleep(2)
            raise OSError
        await clock.sleep(5)
        with time_spent_on("decode"):
            await clock.sleep(0.5)
    assert spent.waits() == Waits(connect=2, request=5, decode=0.5)


@pytest.mark.asyncio
async def test_outside_of_an_attempt_nothing_is_counted() -> None:
    clock = FakeClock()
    with time_spent_on("connect"):
        await clock.sleep(2)
    with AttemptTimer(clock) as spent:
        pass
    assert spent.waits() == Waits()


@pytest.mark.asyncio
async def test_of_an_attempt_on_a_worker_the_way_there_and_back_is_no_part_of_the_request() -> None:
    clock = FakeClock()
    with AttemptTimer(clock) as spent:
        await clock.sleep(10)
        attempt_made_on("node-1 pid 4711", Waits(queue=3, ship=1, connect=2, decode=0.5))
        with time_spent_on("decode"):
            await clock.sleep(0.25)
    assert spent.waits() == Waits(queue=3, ship=1, connect=2, request=3.5, decode=0.75)
    assert spent.worker == "node-1 pid 4711"


def test_outside_of_an_attempt_a_worker_has_made_none() -> None:
    attempt_made_on("node-1 pid 4711", Waits(ship=1))
    with AttemptTimer(FakeClock()) as spent:
        pass
    assert spent.worker is None
    assert spent.waits() == Waits()


@pytest.mark.asyncio
async def test_attempts_of_different_tasks_are_kept_apart() -> None:
    clock = FakeClock()

    async def attempt(seconds: float) -> Waits:
        with AttemptTimer(clock) as spent, time_spent_on("connect"):
            await clock.sleep(seconds)
        return spent.waits()

    assert await asyncio.gather(attempt(1), attempt(3)) == [Waits(connect=1), Waits(connect=3)]


@pytest.mark.asyncio
async def test_a_slot_that_connects_says_so() -> None:
    clock, stay, connecting = FakeClock(), asyncio.Event(), asyncio.Event()

    async def job() -> None:
        with AttemptTimer(clock), time_spent_on("connect"):
            connecting.set()
            await stay.wait()

    with monitor_workers() as seen:
        running = asyncio.create_task(run_jobs([job()]))
        await connecting.wait()
        assert [worker.waits_for for worker in seen.busy()] == ["connect"]
        stay.set()
        await running
