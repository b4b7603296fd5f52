"""`run_jobs`: the results of many jobs, in the order of the input."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asyncrun.aio.bar import open_bar
from asyncrun.aio.coroutine_stepper import Around
from asyncrun.aio.job_source import Jobs, known_length, open_source
from asyncrun.aio.worker_state import Slot
from asyncrun.aio.workers import Workers
from asyncrun.callbacks.event_context import current_manager
from asyncrun.clock import SystemClock

if TYPE_CHECKING:
    from asyncrun.callbacks.manager import CallbackManager

T = TypeVar("T")


async def run_jobs(
    jobs: Jobs[T],
    show_progress: bool = False,
    workers: int = 4,
    desc: str | None = None,
    callback_manager: CallbackManager | None = None,
) -> list[T]:
    """Run jobs, `workers` at a time, and return their results in the order of the input.

    Args:
        jobs: awaitables, or callables without arguments that return one, from any iterable or asynchronous iterable. It is read as
            slots free up.
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
    total = known_length(jobs)
    source = open_source(jobs, copy_context())
    results: list[T | None] = []
    try:
        if workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        bar = await open_bar(desc or "Running jobs", total) if show_progress else None
    except BaseException:
        source.close()
        raise

    def ended(slot: Slot, value: T | None, _: BaseException | None) -> None:
        if slot.index == len(results):
            results.append(value)
        else:
            # Places of jobs that have begun and not ended; theirs are filled in later.
            results.extend([None] * (slot.index + 1 - len(results)))
            results[slot.index] = value
        if bar is not None:
            bar.step()

    finished = False
    try:
        with _reported_to(callback_manager or current_manager()) as around:
            await Workers(source, workers, ended, clock=SystemClock(), around=around).run()
        finished = True
    finally:
        if bar is not None:
            bar.close(finished=finished)
    return cast("list[T]", results)


def _reported_to(manager: CallbackManager | None) -> AbstractContextManager[Around[Any] | None]:
    """Return what yields the wrapper of a job into an event, None when nobody would be told."""
    if manager is None or not manager.handlers:
        return nullcontext()
    from asyncrun.callbacks.job_events import report_jobs

    return report_jobs(manager)
