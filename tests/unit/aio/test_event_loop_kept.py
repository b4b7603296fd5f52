"""Outside of a running loop a coroutine runs on the loop of its thread, which stays: what is made in one call works in the next."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asyncrun.aio.bridge import asyncio_run
from asyncrun.errors import NestedLoopError


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@pytest.fixture
def own_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of the user's, which is set in a thread of its own where `in_thread` runs."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def in_thread(function: Callable[[], Any], loop: asyncio.AbstractEventLoop | None) -> Any:
    """Call a function in a new thread that has set this loop."""
    results: list[Any] = []

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


@pytest.fixture(params=["set", "kept"])
def between(request: pytest.FixtureRequest, own_loop: asyncio.AbstractEventLoop) -> Callable[[Callable[[], Any]], Any]:
    """Call a function where the thread has set a loop, and in the main thread, where it has none."""

    def call(function: Callable[[], Any]) -> Any:
        if request.param == "set":
            return in_thread(function, own_loop)
        asyncio.set_event_loop(None)
        return function()

    return call


def test_the_loop_that_the_thread_has_set_is_used_and_stays_open(own_loop: asyncio.AbstractEventLoop) -> None:
    assert in_thread(lambda: asyncio_run(running_loop()), own_loop) is own_loop
    assert in_thread(lambda: asyncio_run(running_loop()), own_loop) is own_loop
    assert not own_loop.is_closed()
    assert own_loop.run_until_complete(running_loop()) is own_loop


def test_a_loop_that_is_closed_or_runs_elsewhere_is_not_used(own_loop: asyncio.AbstractEventLoop) -> None:
    async def outer() -> None:
        inner = await asyncio.to_thread(in_thread, lambda: asyncio_run(running_loop()), own_loop)
        assert isinstance(inner, asyncio.AbstractEventLoop)
        assert inner is not own_loop

    own_loop.run_until_complete(outer())
    own_loop.close()
    assert isinstance(in_thread(lambda: asyncio_run(running_loop()), own_loop), asyncio.AbstractEventLoop)


def test_the_main_thread_goes_back_to_the_same_loop_also_after_asyncio_run() -> None:
    asyncio.set_event_loop(None)
    first = asyncio_run(running_loop())
    assert asyncio.run(running_loop()) is not first
    assert asyncio_run(running_loop()) is first


def test_another_thread_without_a_loop_gets_one_that_is_closed_afterwards() -> None:
    assert in_thread(lambda: asyncio_run(running_loop()), None).is_closed()


def test_what_is_made_in_one_call_works_in_the_next(between: Callable[[Callable[[], Any]], Any]) -> None:
    """Queue, lock and connection have waited in the first call, and so belong to its loop."""

    async def make() -> tuple[asyncio.Queue[int], asyncio.Lock, asyncio.Server]:
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        lock = asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.get())
            await lock.acquire()
            waits = group.create_task(lock.acquire())
            await asyncio.sleep(0)
            lock.release()
            queue.put_nowait(1)
            await waits
        return queue, lock, await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)

    async def use(queue: asyncio.Queue[int], lock: asyncio.Lock, server: asyncio.Server) -> int:
        asyncio.get_running_loop().call_soon(lock.release)
        asyncio.get_running_loop().call_soon(queue.put_nowait, 2)
        async with lock, server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            await writer.wait_closed()
            return await queue.get()

    def run() -> int:
        return asyncio_run(use(*asyncio_run(make())))

    assert between(run) == 2


def test_a_task_that_is_left_goes_on_in_the_next_call(between: Callable[[Callable[[], Any]], Any]) -> None:
    async def later() -> int:
        await asyncio.sleep(0)
        return await asyncio.to_thread(int, "7")

    async def begin() -> asyncio.Task[int]:
        return asyncio.create_task(later())

    def run() -> int:
        return asyncio_run(asyncio_run(begin()))

    assert between(run) == 7


@pytest.mark.parametrize("set_loop", [True, False])
def test_a_future_is_run_on_the_loop_that_it_belongs_to(own_loop: asyncio.AbstractEventLoop, set_loop: bool) -> None:
    def run() -> int:
        future = own_loop.create_future()
        own_loop.call_soon(future.set_result, 5)
        return asyncio_run(future)

    assert in_thread(run, own_loop if set_loop else None) == 5


def test_a_future_of_a_loop_that_runs_elsewhere_is_an_error(own_loop: asyncio.AbstractEventLoop) -> None:
    async def outer() -> None:
        future = own_loop.create_future()
        error = await asyncio.to_thread(in_thread, lambda: asyncio_run(future), None)
        assert isinstance(error, NestedLoopError)

    own_loop.run_until_complete(outer())


def test_variables_and_errors_come_out_of_the_users_loop_too(own_loop: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise LookupError("mine")

    error = in_thread(lambda: asyncio_run(fail()), own_loop)
    assert isinstance(error, LookupError)
    assert in_thread(lambda: asyncio_run(running_loop()), own_loop) is own_loop
