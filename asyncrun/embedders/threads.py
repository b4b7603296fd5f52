"""Calls on worker threads, and where their time went: in line for a thread, or at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from asyncrun.aio.worker_state import waiting
from asyncrun.clock import Clock
from asyncrun.records import Waits

A = TypeVar("A")
T = TypeVar("T")


async def call_on_threads(pool: Executor, call: Callable[[A], T], arguments: Sequence[A], clock: Clock) -> tuple[list[T], Waits]:
    """Call once for each argument and return the results in their order, with what they waited for.

    `queue` is the time before the first call began, `compute` that from then to the end of the last: a pool begins calls in the order
    in which they were given, so that one of these is always at work. Raises what a call raises; after that, or when it is cancelled,
    nothing that is still in line is begun.
    """
    if not arguments:
        return [], Waits()
    loop, begun, asked = asyncio.get_running_loop(), asyncio.Event(), clock.monotonic()
    first: list[float] = []

    def timed(argument: A) -> T:
        if not first:
            first.append(clock.monotonic())
            loop.call_soon_threadsafe(begun.set)
        return call(argument)

    work = [asyncio.wrap_future(pool.submit(timed, argument)) for argument in arguments]
    try:
        with waiting("queue"):
            await begun.wait()
        with waiting("compute", idle=False):
            results = await asyncio.gather(*work)
    finally:
        for future in work:
            future.cancel()
    return results, Waits(queue=first[0] - asked, compute=clock.monotonic() - first[0])
