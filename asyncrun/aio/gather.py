"""Waiting for many awaitables: all at once, from synchronous code or in batches; and cutting an iterable into chunks."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Iterable, Iterator, Sized
from itertools import islice, zip_longest
from typing import TypeVar

from asyncrun.aio.bridge import asyncio_run
from asyncrun.aio.coroutine_stepper import discard
from asyncrun.aio.job_source import Jobs, end
from asyncrun.aio.jobs import run_jobs

T = TypeVar("T")

UNBOUNDED = sys.maxsize
"""Workers for all jobs at once: a worker begins only when there is a job for it."""


def run_async_tasks(tasks: Jobs[T], show_progress: bool = False, progress_bar_desc: str = "Running async tasks") -> list[T]:
    """Run awaitables at once, all of them, and return their results in their order, from code that is not asynchronous.

    Results and errors are the same with and without progress: the first error cancels the rest and is raised. A running event loop
    is no hindrance, see `asyncio_run`.

    >>> async def double(number: int) -> int:
    ...     return 2 * number
    >>> run_async_tasks([double(1), double(2)])
    [2, 4]
    """
    return asyncio_run(run_jobs(tasks, show_progress=show_progress, workers=UNBOUNDED, desc=progress_bar_desc))


async def batch_gather(tasks: Iterable[Awaitable[T] | None], batch_size: int = 10, verbose: bool = False) -> list[T]:
    """Run awaitables in batches and return their results in their order: a batch begins when the one before it has ended.

    Args:
        tasks: any iterable, read a batch at a time; None is passed over.
        batch_size: awaitables at once, 1 at least.
        verbose: whether to print how many are done after each batch.

    The first error cancels the rest of its batch, closes coroutines that have not begun, and is raised. Raises ValueError when
    `batch_size` is less than 1.

    >>> import asyncio
    >>> async def double(number: int) -> int:
    ...     return 2 * number
    >>> asyncio.run(batch_gather([double(1), double(2), double(3)], batch_size=2, verbose=True))
    Completed 2 out of 3 tasks
    Completed 3 out of 3 tasks
    [2, 4, 6]
    """
    remaining = iter(tasks)
    results: list[T] = []
    try:
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
        while batch := _next_batch(remaining, batch_size):
            results += await run_jobs([task for task in batch if task is not None], workers=batch_size)
            if verbose:
                total = f" out of {len(tasks)}" if isinstance(tasks, Sized) else ""
                print(f"Completed {len(results)}{total} tasks")  # noqa: T201 - what `verbose` asks for
    finally:
        end(remaining)
    return results


def _next_batch(tasks: Iterator[T], size: int) -> list[T]:
    batch: list[T] = []
    try:
        batch.extend(islice(tasks, size))
    except BaseException:
        for task in batch:
            discard(task)
        raise
    return batch


def chunks(iterable: Iterable[T], size: int) -> Iterator[tuple[T | None, ...]]:
    """Cut an iterable into tuples of `size`, lazily; the last one is filled up with None.

    Raises ValueError when `size` is less than 1.

    >>> list(chunks("abc", 2))
    [('a', 'b'), ('c', None)]
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, not {size}")
    return zip_longest(*[iter(iterable)] * size, fillvalue=None)
