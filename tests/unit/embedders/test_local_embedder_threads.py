"""Calls on worker threads: where their time went, and what is begun after an error."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.worker_state import monitor_workers
from asyncrun.embedders.local_embedder import call_on_threads
from asyncrun.testing.clock import FakeClock
from asyncrun.usage import Waits


class ByHand(Executor):
    """A pool whose calls are done when a test says so."""

    def __init__(self) -> None:
        self.line: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.line.append((future, lambda: call(*arguments, **named)))
        return future

    def do_one(self) -> None:
        future, call = self.line.popleft()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except Exception as error:
                future.set_exception(error)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_the_time_in_line_and_the_time_at_work_are_told_apart() -> None:
    pool, clock = ByHand(), FakeClock()

    async def worked(seconds: float) -> None:
        pool.do_one()
        await turns()
        await clock.advance(seconds)

    first = asyncio.create_task(call_on_threads(pool, str, [1, 2], clock))
    second = asyncio.create_task(call_on_threads(pool, str, [3], clock))
    await turns()
    await worked(4.0)
    await worked(3.0)
    await worked(0.0)
    assert await first == (["1", "2"], Waits(queue=0.0, compute=4.0))
    assert await second == (["3"], Waits(queue=7.0, compute=0.0))


@pytest.mark.asyncio
async def test_the_progress_shows_who_stands_in_line_and_who_is_at_work() -> None:
    pool, clock = ByHand(), FakeClock()
    calls = [call_on_threads(pool, str, [1, 2], clock), call_on_threads(pool, str, [3], clock)]
    with monitor_workers() as seen:
        running = asyncio.create_task(run_jobs(calls, workers=2))
        await turns()
        assert [worker.waits_for for worker in sorted(seen.busy(), key=lambda worker: worker.index)] == ["queue", "queue"]
        pool.do_one()
        await turns()
        assert [worker.waits_for for worker in sorted(seen.busy(), key=lambda worker: worker.index)] == ["compute", "queue"]
        pool.do_one()
        pool.do_one()
        await running


@pytest.mark.asyncio
async def test_after_an_error_nothing_in_line_is_begun() -> None:
    pool, begun = ByHand(), list[int]()

    def fail(number: int) -> None:
        begun.append(number)
        raise ValueError(number)

    work = asyncio.create_task(call_on_threads(pool, fail, [1, 2, 3], FakeClock()))
    await turns()
    pool.do_one()
    with pytest.raises(ValueError, match="1"):
        await work
    pool.do_one()
    pool.do_one()
    assert begun == [1]


@pytest.mark.asyncio
async def test_nothing_to_call_waits_for_nothing() -> None:
    assert await call_on_threads(ByHand(), str, [], FakeClock()) == ([], Waits())
