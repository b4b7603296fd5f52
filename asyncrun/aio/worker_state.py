"""What a worker does at this moment: its job, the attempt, and what it waits for; for the job itself and for onlookers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncrun.clock import Clock

if TYPE_CHECKING:
    from asyncrun.aio.attempt_events import AttemptTimer


@dataclass(slots=True, eq=False)
class WorkerState:
    """One worker, as the code that runs in it and an onlooker see it.

    `index` is that of the job, `start` and `end` are its times, `attempts` how many were counted, `waited` the seconds it has waited
    for permission (not for answers), `waits_for` what it waits for now (None while it works), `reasons` all of that if it is several
    things (`idle` of them for permission, since `idle_since`), and `job` the coroutine itself. `words` returns what it waits for as a
    person is told, None where nothing is to be told. `given_up` says that the job has been cancelled again and again without ending.
    """

    clock: Clock
    index: int = -1
    start: float = 0.0
    end: float = 0.0
    attempts: int = 0
    waited: float = 0.0
    waits_for: str | None = None
    reasons: tuple[str, ...] = ()
    idle: int = 0
    idle_since: float = 0.0
    words: Callable[[], str | None] | None = None
    job: Any = None
    given_up: bool = False


class WorkerMonitor:
    """The workers of the pools that begin inside of `monitor_workers`, for an onlooker such as the stall report.

    A monitor around has them too.
    """

    def __init__(self, around: WorkerMonitor | None = None) -> None:
        self._around = around
        self._workers: set[WorkerState] = set()
        self._finished = 0

    def busy(self) -> list[WorkerState]:
        """Return the workers that hold a job at the moment."""
        return [worker for worker in self._workers if worker.job is not None]

    def finished(self) -> int:
        """Return how many jobs have ended so far."""
        return self._finished

    def enter(self, worker: WorkerState) -> None:
        """Add a worker."""
        self._workers.add(worker)
        if self._around is not None:
            self._around.enter(worker)

    def leave(self, worker: WorkerState) -> None:
        """Remove a worker; it may be gone already."""
        self._workers.discard(worker)
        if self._around is not None:
            self._around.leave(worker)

    def count(self, worker: WorkerState) -> None:
        """Count the job in this worker as ended."""
        worker.job = None
        self._finished += 1
        if self._around is not None:
            self._around.count(worker)


if TYPE_CHECKING:
    Surroundings = tuple[WorkerState | None, WorkerMonitor | None, AttemptTimer | None]
    """What the running code is inside of: a worker, who looks on at the pools that it begins, and the timer of an attempt."""

# A bare tuple: with a named one, `_replace`d for each worker, jobs that wait took a tenth longer.
surroundings: ContextVar[Surroundings] = ContextVar("asyncrun_surroundings", default=(None, None, None))
"""A job says what it waits for, counts attempts and begins pools through code of others (an embedder, a store) that hands nothing on."""


def current_worker() -> WorkerState | None:
    """Return the worker that the running code is in; None outside of a pool."""
    return surroundings.get()[0]


def current_monitor() -> WorkerMonitor | None:
    """Return where a pool that begins here enters its workers; None when nobody looks on."""
    return surroundings.get()[1]


def enter_worker(worker: WorkerState) -> None:
    """Make this the worker of the context."""
    _, monitor, timer = surroundings.get()
    surroundings.set((worker, monitor, timer))


@contextmanager
def monitor_workers() -> Generator[WorkerMonitor, None, None]:
    """Watch the workers of pools that begin while the block runs, those in tasks and jobs that it begins included.

    Usage: `with monitor_workers() as monitor: ... watch(monitor.busy, monitor.finished, ...)`
    """
    worker, around, timer = surroundings.get()
    monitor = WorkerMonitor(around)
    surroundings.set((worker, monitor, timer))
    try:
        yield monitor
    finally:
        worker, _, timer = surroundings.get()
        surroundings.set((worker, around, timer))


@contextmanager
def waiting(reason: str, *, idle: bool = True, words: Callable[[], str | None] | None = None) -> Generator[None, None, None]:
    """Say what the job waits for while the block runs.

    It is `queue`, `limiter`, `gate`, `backoff`, `connect`, `request`, `compute`, `store`, or `another job`.

    Seconds of an `idle` wait count as waiting, others (a request that is under way) as running. `words` says it to a person, as it stands
    when it is called. Outside of a pool it does nothing.
    """
    worker = surroundings.get()[0]
    if worker is None:
        yield
        return
    worker.reasons = (*worker.reasons, reason)
    worker.waits_for = reason
    worker.words = words
    if idle:
        if not worker.idle:
            worker.idle_since = worker.clock.monotonic()
        worker.idle += 1
    try:
        yield
    finally:
        # Tasks of one job may wait side by side, and end in any order: seconds are counted once, from the first to the last.
        place = worker.reasons.index(reason)
        worker.reasons = worker.reasons[:place] + worker.reasons[place + 1 :]
        worker.waits_for = worker.reasons[-1] if worker.reasons else None
        worker.words = None
        if idle:
            worker.idle -= 1
            if not worker.idle:
                worker.waited += worker.clock.monotonic() - worker.idle_since


def count_attempt() -> None:
    """Count one attempt of the running job; outside of a pool it does nothing."""
    worker = surroundings.get()[0]
    if worker is not None:
        worker.attempts += 1


def discount_attempt() -> None:
    """Take back the attempt that was counted last; outside of a pool it does nothing."""
    worker = surroundings.get()[0]
    if worker is not None:
        worker.attempts -= 1
