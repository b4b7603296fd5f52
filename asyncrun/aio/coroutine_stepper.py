"""Coroutines stepped by hand: a job runs in a context of its own without a task of its own. Nowhere else is a coroutine stepped.

The reason is measured (docs/benchmarks.md, "The engine"): a job that does not wait costs 1.1 us so, with a task a job 12 to 13 us
(`TaskGroup` or `gather` and a semaphore), and 30 us, 26 times as much, by LlamaIndex's `run_jobs`. What a task would do has to be
done here: `step_to_end` passes on what the coroutine waits for, and passes back results, exceptions and cancellations.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from functools import partial
from typing import Any, TypeVar, cast

from asyncrun.aio.worker_state import WorkerState
from asyncrun.callbacks.job_events import Around

T = TypeVar("T")

Job = Awaitable[T] | Callable[[], Awaitable[T]]
"""What can be run: an awaitable, or a callable without arguments that returns one."""


async def run_job(
    job: Job[T], worker: WorkerState, waits: Callable[[], None], seconds: float | None, around: Around[Any] | None
) -> tuple[T | None, BaseException | None]:
    """Run a job to its end and return its value or its error.

    `waits` is called when the job waits for the first time. A job that never does costs no turn of the loop, and cannot be stopped; any
    other is cancelled after so many seconds.
    """
    try:
        # The usual case here, to spare it a call.
        coro = job if type(job) is types.CoroutineType and not job.cr_suspended else as_coroutine(job)
        worker.job = coro = coro if around is None else around(coro, worker.index)
        context = copy_context()
        try:
            waits_for = context.run(coro.send, None)
        except StopIteration as stop:
            return stop.value, None
        waits()
        if seconds is None:
            return await step_to_end(coro, context, waits_for, worker), None
        return await _finish_in_time(coro, context, waits_for, worker, seconds), None
    except GeneratorExit:  # the loop is gone, and nobody waits for an answer
        raise
    except BaseException as error:
        return None, _without_engine(error)


async def _finish_in_time(coro: Coroutine[Any, Any, T], context: Context, waits_for: Any, worker: WorkerState, seconds: float) -> T:
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            return await step_to_end(coro, context, waits_for, worker)
    except TimeoutError as error:
        if scope.expired() and isinstance(error.__cause__, asyncio.CancelledError):
            raise TimeoutError(f"job {worker.index} did not end within {seconds:g} s") from error.__cause__
        raise


@types.coroutine
def step_to_end(coro: Coroutine[Any, Any, T], context: Context, waits_for: Any, worker: WorkerState) -> Generator[Any, Any, T]:
    """Drive a coroutine that has been stepped, and waits for something, to its end inside `context`.

    What it waits for is passed on to the running task; what the task gets for it (a result, an exception, a cancellation) is passed
    back. Once the worker is given up, a cancellation closes the coroutine instead of asking it.
    """
    while True:
        thrown: BaseException | None = None
        try:
            received = yield waits_for
        except BaseException as error:
            thrown = error
        # Outside of the except clause: else every exception of the job would carry this one as its context.
        try:
            if thrown is None:
                waits_for = context.run(coro.send, received)
            elif worker.given_up and isinstance(thrown, asyncio.CancelledError):
                context.run(coro.close)
                raise thrown
            else:
                waits_for = context.run(coro.throw, thrown)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            # Its traceback holds this frame.
            del thrown


def as_coroutine(job: Job[T]) -> Coroutine[Any, Any, T]:
    """Return a coroutine that does the job.

    Raises TypeError for what is no job, RuntimeError for a coroutine that something else waits for already.
    """
    if isinstance(job, types.CoroutineType):
        # As `await` does: to step it from here too would run it from two sides at once.
        if job.cr_suspended:
            raise RuntimeError("coroutine is being awaited already")
        return job
    if inspect.isawaitable(job):
        return _named(_awaited(job), job)
    if callable(job):
        return _named(_called(job), job)
    raise TypeError(f"a job must be awaitable, or a callable that returns an awaitable, not {type(job).__name__}")


async def _awaited(job: Awaitable[T]) -> T:
    return await job


async def _called(job: Callable[[], Awaitable[T]]) -> T:
    made = job()
    if not inspect.isawaitable(made):
        raise TypeError(f"a job that is a callable must return an awaitable, not {type(made).__name__}")
    return await made


def _named(coro: Coroutine[Any, Any, T], job: object) -> Coroutine[Any, Any, T]:
    # For reports and events: ours would be the name of every job.
    what = job.func if isinstance(job, partial) else job
    cast("types.CoroutineType[Any, Any, T]", coro).__qualname__ = getattr(what, "__qualname__", type(what).__qualname__)
    return coro


def discard(job: object) -> asyncio.Future[Any] | None:
    """End a job that will not be run: close a coroutine that has not begun, cancel a task or future of the running loop.

    Returns what was cancelled and has still to end.
    """
    if isinstance(job, asyncio.Future):
        # One of another loop may belong to another thread.
        with contextlib.suppress(RuntimeError):  # no loop is running
            if job.get_loop() is asyncio.get_running_loop() and job.cancel():
                return job
    elif isinstance(job, types.CoroutineType):
        if not job.cr_suspended and not job.cr_running:
            job.close()
    elif isinstance(job, Coroutine):
        job.close()
    return None


_ENGINE = frozenset(function.__code__ for function in (run_job, _finish_in_time, step_to_end, _awaited, _called))


def _without_engine(error: BaseException) -> BaseException:
    """Return the error without our frames at the head of its traceback: they tell nothing and would keep each other alive."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code in _ENGINE:
        trace = trace.tb_next
    return error.with_traceback(trace)
