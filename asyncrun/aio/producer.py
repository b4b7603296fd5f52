"""What a piece of work tells on its way, as a generator: the work runs in a task of its own and does not wait for whoever reads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

from asyncrun.aio.bridge import asyncio_run, run_then_leave

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[Callable[[T], object]], Awaitable[object]]
"""Runs to its end, and tells what it is given a function for; what it returns is not looked at."""


async def produced(work: Work[T], show: Callable[[T], R]) -> AsyncGenerator[R]:
    """Yield what the work tells, as it comes and as it is shown, and raise what it raises behind all that it has told.

    What was told and not yet read is kept as it was told: `show` is called when its turn has come.

    It begins with the first step, in a task with a copy of the context: events that it opens do not enclose those of the reader. Closing
    the generator cancels the work and waits for its end.

    >>> async def count(tell: Callable[[int], object]) -> None:
    ...     tell(1)
    ...     tell(2)
    >>> async def main() -> list[str]:
    ...     return [number async for number in produced(count, str)]
    >>> asyncio.run(main())
    ['1', '2']
    """
    told: asyncio.Queue[tuple[T] | None] = asyncio.Queue()

    async def run() -> None:
        await work(lambda value: told.put_nowait((value,)))

    task = asyncio.create_task(run())
    task.add_done_callback(lambda _: told.put_nowait(None))
    try:
        while (value := await told.get()) is not None:
            yield show(value[0])
        await task
    finally:
        task.cancel()
        # The error of a work whose reader has gone is nobody's.
        await asyncio.gather(task, return_exceptions=True)


def produced_in_thread(work: Work[T], show: Callable[[T], R], leave: Callable[[], Awaitable[object]] | None = None) -> Generator[R]:
    """Yield as `produced` does, from code that is not asynchronous: the work runs in a thread with a loop of its own.

    It goes on while the reader does something else. Closing the generator, and Ctrl-C, cancel the work and wait for its end.
    `leave` lets go of what belongs to that loop, as in `run_then_leave`.

    >>> async def count(tell: Callable[[int], object]) -> None:
    ...     tell(1)
    ...     tell(2)
    >>> list(produced_in_thread(count, str))
    ['1', '2']
    """
    told: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[object]]] = []

    async def run() -> None:
        task = asyncio.ensure_future(_awaited(work(lambda value: told.put((value,)))))
        begun.append((asyncio.get_running_loop(), task))
        if closed.is_set():
            task.cancel()
        await task

    def run_in_thread() -> None:
        try:
            if leave is None:
                context.run(asyncio_run, run())
            else:
                context.run(run_then_leave, run(), leave)
        except BaseException as error:
            told.put(error)
        else:
            told.put(None)

    context, closed = copy_context(), threading.Event()
    thread = threading.Thread(target=run_in_thread, name="produced", daemon=True)
    try:
        thread.start()
        while (value := told.get()) is not None:
            if isinstance(value, BaseException):
                raise value
            yield show(value[0])
    finally:
        closed.set()
        if begun:
            _cancel(*begun[0])
        # Where Ctrl-C has come before it says that it is started, it finds the generator closed.
        if thread.is_alive():
            thread.join()


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[object]) -> None:
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:
        # The loop is closed: the work has ended.
        return
