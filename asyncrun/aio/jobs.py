"""The results of many jobs in the order of the input: run_jobs, from synchronous code, in batches; and cutting an iterable into chunks."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, TypeVar, cast

from asyncrun.aio.coroutine_stepper import discard
from asyncrun.aio.job_source import Jobs, end_iterator, known_length, open_source
from asyncrun.aio.worker_state import WorkerState
from asyncrun.aio.workers import Workers
from asyncrun.callbacks.event_context import current_manager
from asyncrun.callbacks.job_events import Around, report_jobs
from asyncrun.callbacks.llama_index_spans import call_span
from asyncrun.clock import SystemClock

if TYPE_CHECKING:
    from asyncrun.callbacks.base import CallbackManager

T = TypeVar("T")

DEFAULT_NUM_WORKERS = 4
"""Jobs at once, where nothing else is said."""
UNBOUNDED = sys.maxsize
"""Workers for all jobs at once: a worker begins only when there is a job for it."""


async def run_jobs(
    jobs: Jobs[T],
    show_progress: bool = False,
    workers: int = DEFAULT_NUM_WORKERS,
    desc: str | None = None,
    callback_manager: CallbackManager | None = None,
) -> list[T]:
    """Run jobs, `workers` at a time, and return their results in the order of the input.

    Args:
        jobs: awaitables, or callables without arguments that return one, from any iterable or asynchronous iterable. It is read as
            workers become free.
        show_progress: whether to draw a bar; without one that can be drawn, nothing changes.
        workers: jobs at once, 1 at least.
        desc: what the bar is called.
        callback_manager: is told of each job as an event `ASYNC_JOB`; by default the manager of the enclosing `event()` or
            `as_trace()`, and outside of both nobody is told.

    Each job runs in its own copy of the caller's context. The first error stops everything: what runs is cancelled and has cleaned up,
    coroutines that have not begun are closed, and the error itself is raised. Cancelling the caller leaves nothing running either.

    Raises ValueError when `workers` is less than 1, TypeError when `jobs` cannot be iterated over or a job is none.

    >>> import asyncio
    >>> async def double(number: int) -> int:
    ...     return 2 * number
    >>> asyncio.run(run_jobs([double(1), double(2), lambda: double(3)], workers=2))
    [2, 4, 6]
    """
    source = open_source(jobs, copy_context())
    results: list[T | None] = []
    bar = None
    try:
        if workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        if show_progress:
            from asyncrun.aio.progress_bar import open_bar

            bar = await open_bar(desc or "Running jobs", known_length(jobs))
    except BaseException:
        source.close()
        raise

    def ended(worker: WorkerState, value: T | None, _: BaseException | None) -> None:
        if worker.index == len(results):
            results.append(value)
        else:
            # Places of jobs that have begun and not ended; theirs are filled in later.
            results.extend([None] * (worker.index + 1 - len(results)))
            results[worker.index] = value
        if bar is not None:
            bar.step()

    manager = callback_manager or current_manager()
    reported: AbstractContextManager[Around[T] | None] = report_jobs(manager) if manager and manager.handlers else nullcontext()
    spans = call_span(run_jobs, jobs, show_progress=show_progress, workers=workers, desc=desc)
    with bar or nullcontext(), reported as around, spans as span:
        await Workers(source, workers, ended, clock=SystemClock(), around=span.around(around)).run()
        span.result = results
    return cast("list[T]", results)


def run_async_tasks(tasks: Jobs[T], show_progress: bool = False, progress_bar_desc: str = "Running async tasks") -> list[T]:
    """Run awaitables at once, all of them, and return their results in their order, from code that is not asynchronous.

    Results and errors are the same with and without progress: the first error cancels the rest and is raised. A running event loop
    is no hindrance, see `asyncio_run`.

    >>> async def double(number: int) -> int:
    ...     return 2 * number
    >>> run_async_tasks([double(1), double(2)])
    [2, 4]
    """
    from asyncrun.aio.bridge import asyncio_run

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
        end_iterator(remaining)
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
