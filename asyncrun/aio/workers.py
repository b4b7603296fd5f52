"""The workers of a pool: so many jobs at once, each in a context of its own, taken from the source as workers become free.

A task per job would cost more than the rest together, so a worker steps the coroutines of its jobs itself. To a job the worker's task
is its own: once a job has waited for anything, its task takes no other job. Whoever still holds that task (a timeout that was left
open, a session looked up by `current_task()`) can then not reach a stranger.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Generic, TypeVar, cast

from asyncrun.aio.coroutine_stepper import run_job
from asyncrun.aio.job_source import AsyncJobSource, JobSource, NothingYetError
from asyncrun.aio.worker_state import WorkerState, current_monitor, enter_worker
from asyncrun.callbacks.base_handler import describe_error
from asyncrun.callbacks.job_events import Around
from asyncrun.clock import Clock
from asyncrun.errors import StopRunError

logger = logging.getLogger(__name__)

T = TypeVar("T")

Ended = Callable[[WorkerState, T | None, BaseException | None], None]
"""Is told of a job that has ended, with its value or its error; the worker tells the rest, and then takes the next job."""

TURN = 0.005
"""Seconds after which a worker whose jobs never wait gives the rest of the loop a turn."""
CANCELS = 3
"""How often a job is cancelled before its coroutine is closed."""


class Workers(Generic[T]):
    """Runs the jobs of `source`, at most `limit` at once, and tells `ended` of each.

    Args:
        collect: whether a job's error is told to `ended` like a value; otherwise, or if it is a StopRunError, it stops everything.
        clock: what seconds are measured with.
        timeout: seconds that a job may take, None without limit.
        around: see `Around`.
        cleanup_timeout: seconds that a cancelled job has to end before it is cancelled again.
    """

    def __init__(
        self,
        source: JobSource[T] | AsyncJobSource[T],
        limit: int,
        ended: Ended[T],
        *,
        clock: Clock,
        collect: bool = False,
        timeout: float | None = None,
        around: Around[T] | None = None,
        cleanup_timeout: float = 30.0,
    ) -> None:
        self.horizon: int = sys.maxsize
        """Only jobs with an index below this may begin; call `fill` after raising it."""
        self.failure: BaseException | None = None
        """What the caller is to be told in the end: the first error of a job, or one of the source."""
        self.stopping = False
        self._source = source
        self._limit = limit
        self._ended = ended
        self._collect = collect
        self._clock = clock
        self._timeout = timeout
        self._around = around
        self._cleanup_timeout = cleanup_timeout
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._monitor = current_monitor()
        self._open = True
        self._begun = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._workers: dict[asyncio.Task[None], WorkerState] = {}
        # Workers that look for a job, or run one that has not waited yet.
        self._looking: set[asyncio.Task[None]] = set()
        self._change: asyncio.Future[None] | None = None
        if isinstance(source, AsyncJobSource):
            self._launch(source.read(self.fill), copy_context())

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing more will begin."""
        return not self._open and not self._tasks

    def fill(self) -> None:
        """Begin what may begin: one worker looks what there is; as soon as its job waits, others follow."""
        if not self._looking:
            self._hire()

    async def changed(self) -> None:
        """Wait until `notify` is called; the first error and the end of all work call it too."""
        if self._change is not None:
            raise RuntimeError("two tasks wait for the outcomes of one pool")
        self._change = self._loop.create_future()
        try:
            await self._change
        finally:
            self._change = None

    def notify(self) -> None:
        """Wake the one who waits in `changed`."""
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    def halt(self) -> None:
        """Begin nothing more, and cancel what runs, except the task that calls this; a second call does nothing."""
        if not self.stopping:
            self._open = False
            self.stopping = True
            self._cancel()

    def _cancel(self) -> None:
        for task in self._others():
            task.cancel()

    def _others(self) -> set[asyncio.Task[None]]:
        # A job may stop its own pool: it must not wait for itself.
        current = asyncio.current_task(self._loop)
        return {task for task in self._tasks if task is not current and not task.done()}

    def abandon(self) -> None:
        """Halt and end the source, from whichever thread, without waiting for the jobs' cleanup."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self.halt()
            self._source.close()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.abandon)

    async def run(self) -> None:
        """Run everything to its end. Raises the first error, after the others have cleaned up."""
        self.fill()
        try:
            while not (self.stopping or self.idle):
                await self.changed()
        finally:
            await self.stop()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what the caller is to be told, once."""
        failure, self.failure = self.failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                # Its traceback holds this frame.
                del failure

    async def stop(self) -> None:
        """Halt, wait until every job has cleaned up, and end the source.

        A job that has not ended after `cleanup_timeout` seconds is cancelled again; its coroutine is closed when that does not help. To be
        cancelled while waiting here cancels the jobs again, and is raised when they have ended.
        """
        self.halt()
        cancelled: asyncio.CancelledError | None = None
        cancels = 1
        while (others := self._others()) and cancels <= CANCELS + 1:
            try:
                _, running = await asyncio.wait(others, timeout=self._cleanup_timeout)
            except asyncio.CancelledError as error:
                cancelled = error
                self._cancel()
                continue
            if running:
                cancels += 1
                self._insist(give_up=cancels > CANCELS)
                self._cancel()
        if others:
            logger.warning("the iterable of jobs has not ended although it was cancelled again and again; it is left behind")
        try:
            if left := self._source.close():
                await asyncio.wait(left, timeout=self._cleanup_timeout)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception as error:
            self._fail(error)
        if cancelled is not None:
            raise cancelled

    def _insist(self, *, give_up: bool) -> None:
        for worker in self._workers.values():
            worker.given_up = give_up
            what = getattr(worker.job, "__qualname__", worker.job)
            then = "it is closed" if give_up else "it is cancelled again"
            logger.warning("job %d (%s) has not ended %g s after it was cancelled: %s", worker.index, what, self._cleanup_timeout, then)

    def _hire(self) -> None:
        if self._open and len(self._workers) < self._limit and self._begun < self.horizon and self._source.ready():
            worker = WorkerState(self._clock)
            context = self._context.copy()
            context.run(enter_worker, worker)
            task = self._launch(self._work(worker), context)
            self._workers[task] = worker
            self._looking.add(task)
            if self._monitor is not None:
                self._monitor.enter(worker)

    def _launch(self, coro: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        # Not by the loop's task factory: an eager one would begin workers inside of each other.
        task = asyncio.Task(coro, loop=self._loop, name="asyncrun worker", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._left)
        return task

    async def _work(self, worker: WorkerState) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        waits = partial(self._waits, task)
        # Looked up once: each costs as much as the rest of a step, when jobs are that small.
        take, monotonic, ended = self._source.take, self._clock.monotonic, self._ended
        turn_ends = monotonic() + TURN
        while self._open and self._begun < self.horizon:
            try:
                job = take()
            except NothingYetError:
                break
            except StopIteration:
                self._open = False
                break
            except BaseException as failure:
                self._source_failed(failure)
                break
            worker.index = self._begun
            self._begun += 1
            worker.attempts = 0
            worker.waited = 0.0
            worker.start = monotonic()
            value, error = await run_job(job, worker, waits, self._timeout, self._around)
            worker.end = monotonic()
            if self._monitor is not None:
                self._monitor.count(worker)
            if error is None and not self.stopping:
                ended(worker, value, None)
            else:
                self._tell(worker, value, error)
            if task not in self._looking or task.cancelling():
                break
            if worker.end > turn_ends:
                await asyncio.sleep(0)
                turn_ends = monotonic() + TURN
        self._release(task)
        self._hire()

    def _waits(self, task: asyncio.Task[None]) -> None:
        self._looking.discard(task)
        # Two for one: all workers are there after a few turns of the loop, and no more than twice as many as there are jobs.
        self._hire()
        self._hire()

    def _tell(self, worker: WorkerState, value: T | None, error: BaseException | None) -> None:
        collected = self._collect and isinstance(error, Exception | asyncio.CancelledError) and not isinstance(error, StopRunError)
        if error is None or collected:
            if not self.stopping:
                self._ended(worker, value, error)
        elif not (self.stopping and isinstance(error, asyncio.CancelledError)):
            self._fail(error)

    def _source_failed(self, error: BaseException) -> None:
        if self._collect and isinstance(error, Exception):
            # What has begun goes on; the error is raised after it.
            self._open = False
            self.failure = self.failure or error
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None or not isinstance(error, Exception):
            self.failure = error
        elif not isinstance(error, StopRunError):  # a handler says so at every event
            logger.warning("another error while jobs were being stopped: %s", describe_error(error))
        self.halt()
        self.notify()

    def _release(self, task: asyncio.Task[None]) -> None:
        worker = self._workers.pop(task, None)
        self._looking.discard(task)
        if worker is not None and self._monitor is not None:
            self._monitor.leave(worker)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._release(task)
        if task.cancelled():
            self._hire()
        elif (error := task.exception()) is not None:
            self._fail(error)
        if not self._tasks:
            self.notify()
