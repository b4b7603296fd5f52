"""Between an event loop and threads: blocking work in a thread of its own, and a thread that waits for what a loop does."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

STOP_NOTICED = 0.25
"""Seconds after which whoever waits asks whether to go on."""


def result_of(call: Future[T], stopped: Callable[[], Exception | None]) -> T:
    """Return what a call on a loop returns, such as one that `asyncio.run_coroutine_threadsafe` began. Blocks.

    Raises what the call raises, and what `stopped` returns meanwhile: then the call is cancelled.

    >>> async def main() -> str:
    ...     call = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "slept"), asyncio.get_running_loop())
    ...     return await asyncio.to_thread(result_of, call, lambda: None)
    >>> asyncio.run(main())
    'slept'
    """
    while True:
        try:
            return call.result(STOP_NOTICED)
        except TimeoutError:
            if call.done():
                raise
            if (error := stopped()) is not None:
                call.cancel()
                raise error from None


async def in_own_thread(work: Callable[[], T], patience: float | None) -> T:
    """Return what blocking work returns, or raise what it raises; it has a thread of its own, which does not keep the process.

    Work that takes more than `patience` seconds, None for any time, is left behind. Raises TimeoutError.

    >>> asyncio.run(in_own_thread(lambda: 7, 60.0))
    7
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def end(settle: Callable[[], object]) -> None:
        if not ended.done():
            settle()

    def run() -> None:
        try:
            settle = functools.partial(ended.set_result, work())
        except BaseException as error:
            settle = functools.partial(ended.set_exception, error)
        with suppress(RuntimeError):  # The loop has not waited for it.
            loop.call_soon_threadsafe(end, settle)

    _start(run)
    return await asyncio.wait_for(ended, patience)


def in_background(work: Callable[[], object]) -> None:
    """Have done what may block, for which nobody waits, and which may fail."""

    def run() -> None:
        with suppress(Exception):
            work()

    _start(run)


def _start(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="asyncrun-work", daemon=True).start()
