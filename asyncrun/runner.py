"""The run: jobs start as soon as what they need has ended, through the same pool that every library user gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.stall_report import watch_waits
from asyncrun.aio.stop import MAX_RUNTIME, StopRequest
from asyncrun.aio.worker_state import current_worker, monitor_workers
from asyncrun.callbacks.base import CallbackManager
from asyncrun.callbacks.event_context import EventContext
from asyncrun.callbacks.schema import CBEventType
from asyncrun.clock import Clock, SystemClock
from asyncrun.errors import AsyncrunError, JobFailedError, StopRunError, UsageError
from asyncrun.ports import CombinedProgress, JobRun, Progress
from asyncrun.results import Counts, JobResult, Status
from asyncrun.usage import Usage, Waits

USABLE = frozenset({Status.SUCCEEDED, Status.PARTIAL})


@dataclass(frozen=True, slots=True)
class JobNode:
    """A job as the graph sees it."""

    name: str
    needs: tuple[str, ...] = ()


def startable(nodes: Sequence[JobNode], ended: Mapping[str, JobResult], started: frozenset[str]) -> list[JobNode]:
    """Return the jobs that can start now, in their given order.

    >>> startable([JobNode("a"), JobNode("b", ("a",))], {}, frozenset())
    [JobNode(name='a', needs=())]
    """
    return [
        node for node in nodes if node.name not in started and all(need in ended and ended[need].status in USABLE for need in node.needs)
    ]


def blocked(nodes: Sequence[JobNode], ended: Mapping[str, JobResult], started: frozenset[str]) -> list[tuple[JobNode, JobResult]]:
    """Return the jobs that can never start, each with the need that is in the way."""
    return [
        (node, ended[need])
        for node in nodes
        if node.name not in started
        for need in node.needs
        if need in ended and ended[need].status not in USABLE
    ]


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job of a run. `open_job` wires it when its turn comes; `reads_output`: its input is the output of another job of the run."""

    name: str
    kind: str
    needs: tuple[str, ...]
    open_job: Callable[[], JobRun]
    reads_output: bool = False


class _JobCounters(Progress):
    """Keeps what a job tells of its items and requests: one that is cancelled returns none."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.counts = Counts()
        self.usage = Usage()

    def advance(self, task: str, counts: Counts) -> None:
        self.counts += counts

    def use(self, task: str, usage: Usage) -> None:
        self.usage += usage


class Runner:
    """Runs a graph of jobs once.

    Args:
        jobs: in the order in which they start when several can; needs that are not among them count as fulfilled.
        progress: who is told.
        manager: gets one ASYNC_JOB event a job; when one of its handlers stops the work, the stop is requested.
        stop: once requested, no job starts.
        fail_fast: when a job fails, the stop is requested.
        clock: times the looks at what each job waits for.
        redact: takes secrets out of why a job ended.
    """

    def __init__(
        self,
        jobs: Sequence[PlannedJob],
        *,
        progress: Progress,
        manager: CallbackManager,
        stop: StopRequest,
        fail_fast: bool = False,
        clock: Clock | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        names = {job.name for job in jobs}
        self._jobs = {job.name: job for job in jobs}
        self._nodes = [JobNode(job.name, tuple(need for need in job.needs if need in names)) for job in jobs]
        self._progress = progress
        self._manager = manager
        self._stop = stop
        self._fail_fast = fail_fast
        self._clock = clock or SystemClock()
        self._redact = redact
        self._ended: dict[str, JobResult] = {}
        self._started: set[str] = set()
        self._running: dict[str, _JobCounters] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Run all jobs that can run. An exception that is no AsyncrunError is a bug and is raised."""
        # The jobs tell of themselves, by their names, so the pool need not.
        await run_jobs(self._ready(), workers=max(1, len(self._jobs)), callback_manager=CallbackManager())

    def results(self) -> tuple[JobResult, ...]:
        """Return how each job ended, in the given order; one that has not was stopped, or had not begun."""
        for node in self._nodes:
            if node.name not in self._ended:
                self._end(self._cut_short(self._jobs[node.name], self._stop.reason or "the run ended"))
        return tuple(self._ended[node.name] for node in self._nodes)

    def _cut_short(self, job: PlannedJob, reason: str) -> JobResult:
        if job.name not in self._started:
            return JobResult(job.name, job.kind, Status.CANCELLED, 0, f"not begun: {reason}")
        result = JobResult(job.name, job.kind, Status.STOPPED, 75, reason)
        if (counters := self._running.get(job.name)) is None:
            return result
        return replace(result, counts=counters.counts, usage=counters.usage, seconds=self._clock.monotonic() - counters.started)

    async def _ready(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        while len(self._ended) < len(self._nodes):
            self._changed.clear()
            for node, need in blocked(self._nodes, self._ended, frozenset(self._started)):
                if node.name not in self._ended:
                    self._started.add(node.name)
                    self._end(JobResult(node.name, self._jobs[node.name].kind, Status.CANCELLED, 0, _in_the_way(need)))
            for node in [] if self._stop.requested else startable(self._nodes, self._ended, frozenset(self._started)):
                self._started.add(node.name)
                yield partial(self._run_job, self._jobs[node.name])
            if self._stop.requested or len(self._started) == len(self._nodes):
                return
            await self._changed.wait()

    async def _run_job(self, job: PlannedJob) -> None:
        began, result = self._clock.monotonic(), None
        try:
            with self._manager.event(CBEventType.ASYNC_JOB, payload={"name": job.name, "kind": job.kind}) as event:
                result = await self._result_of(job)
                # From where the trace counts: what a job does before it can be run is part of its time.
                result = replace(result, seconds=self._clock.monotonic() - began)
                _tell_end(event, result)
        except StopRunError as error:
            result = result or replace(self._cut_short(job, str(error)), hint=error.hint)
        if self._manager.stopped is not None:
            self._stop.request(self._manager.stopped)
        self._end(result)

    async def _result_of(self, job: PlannedJob) -> JobResult:
        try:
            result = await self._run_opened(job.name, await asyncio.to_thread(job.open_job))
        except StopRunError:
            raise
        except AsyncrunError as error:
            result = JobResult(job.name, job.kind, Status.FAILED, error.exit_code, str(error), error.hint)
        if job.reads_output and result.exit_code == UsageError.exit_code:
            # What is wrong with an input that was made meanwhile is no mistake of the call, before which nothing ran.
            result = replace(result, exit_code=JobFailedError.exit_code)
        return result

    async def _run_opened(self, name: str, opened: JobRun) -> JobResult:
        counters = self._running[name] = _JobCounters(self._clock.monotonic())
        progress = CombinedProgress(counters, self._progress)
        own = current_worker()
        with monitor_workers() as seen:
            # A job none of whose workers is busy may wait itself, as for its batches.
            waits = asyncio.create_task(
                watch_waits(lambda: seen.busy() or filter(None, [own]), partial(progress.waiting, name), clock=self._clock)
            )
            try:
                return await opened.run(progress)
            finally:
                waits.cancel()

    def _end(self, result: JobResult) -> None:
        result = replace(result, reason=result.reason and self._redact(result.reason), hint=result.hint and self._redact(result.hint))
        self._ended[result.name] = result
        self._progress.task_finished(result.name, result)
        if self._fail_fast and result.status is Status.FAILED:
            self._stop.request(f"{result.name} failed")
        self._changed.set()


def _in_the_way(need: JobResult) -> str:
    """Return why a job that needs another one cannot begin; where that has ended as planned, so has this one."""
    planned = need.status in (Status.STOPPED, Status.CANCELLED) and (need.reason or "").endswith(MAX_RUNTIME)
    return f"{need.name} {need.status}" + (f": {MAX_RUNTIME}" if planned else "")


def _tell_end(event: EventContext, result: JobResult) -> None:
    event.on_end(
        payload={
            "status": str(result.status),
            "items": result.counts.items,
            "failed": result.counts.failed,
            "cached": result.counts.cached,
            "requests": result.usage.requests,
            "tokens": result.usage.tokens,
            # The other waits are those of its batches of items, which tell them.
            **Waits(batches=result.waits.batches).payload(),
        }
    )
