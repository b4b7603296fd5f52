"""Which event loop runs (uvloop where it is installed), and the one that a thread goes back to between two calls."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import current_thread, main_thread


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what `asyncio.Runner` takes as its `loop_factory`; None means asyncio's own.

    Jobs that wait are about a fifth lighter on uvloop, jobs that do not wait are the same.
    """
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


@contextmanager
def idle_runner(awaitable: object) -> Iterator[asyncio.Runner]:
    """Yield what runs an awaitable on the idle loop of this thread, where no loop is running; a future runs on the loop that it belongs to.

    A loop of the user's, and the one that is kept, stay open, with what has been made on them. A thread that is not the main one and
    has set none gets one that is closed afterwards, as with `asyncio.run`.
    """
    loop = awaitable.get_loop() if isinstance(awaitable, asyncio.Future) else _loop_of_thread()
    if loop is None or loop.is_closed() or loop.is_running():
        loop = _kept(os.getpid()) if current_thread() is main_thread() else None
    if loop is None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            yield runner
        return
    # Never closed: it would close the loop.
    runner = asyncio.Runner(loop_factory=lambda: loop)
    if not _is_kept(loop):
        yield runner
        return
    # The threads of a call end with it.
    with ThreadPoolExecutor(thread_name_prefix="asyncio") as threads:
        loop.set_default_executor(threads)
        yield runner


def _loop_of_thread() -> asyncio.AbstractEventLoop | None:
    if sys.version_info >= (3, 14):
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            return None
    # Where none is set `get_event_loop` makes one, with a warning or without, and nobody would close it.
    local = getattr(asyncio.get_event_loop_policy(), "_local", None)
    return getattr(local, "_loop", None)


def _is_kept(loop: asyncio.AbstractEventLoop) -> bool:
    return _kept.cache_info().currsize > 0 and loop is _kept(os.getpid())


@cache
def _kept(process: int) -> asyncio.AbstractEventLoop:
    """Return the loop of the main thread; a forked process has another one, because two must not wait at one selector."""
    loop = (loop_factory() or asyncio.new_event_loop)()

    def close() -> None:
        if os.getpid() == process:
            # Not by a runner's `close`: it begins a thread, which an interpreter that ends refuses from 3.12 on.
            loop.run_until_complete(_end_all())
            loop.close()

    atexit.register(close)
    return loop


async def _end_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
