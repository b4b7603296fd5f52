"""What a worker does at this moment: its job, the attempt and its parts, and what it waits for; for the job itself and for monitors."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from asyncrun.callbacks.event_context import current_manager
from asyncrun.callbacks.schema import CBEventType
from asyncrun.clock import Clock
from asyncrun.usage import Waits

if TYPE_CHECKING:
    from asyncrun.callbacks.base import CallbackManager


@dataclass(slots=True, eq=False)
class WorkerState:
    """One worker, as the code that runs in it and a monitor see it.

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
    """The workers of the pools that begin inside of `monitor_workers`, for one who watches, such as the stall report.

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


# A bare tuple: with a named one, `_replace`d for each worker, jobs that wait took a tenth longer.
surroundings: ContextVar[tuple[WorkerState | None, WorkerMonitor | None, AttemptTimer | None]] = ContextVar(
    "asyncrun_surroundings", default=(None, None, None)
)
"""The worker, the monitor of new pools, the attempt's timer: a job reaches them through code of others (a store) that hands nothing on."""


def current_monitor() -> WorkerMonitor | None:
    """Return where a pool that begins here enters its workers; None when nobody watches."""
    return surroundings.get()[1]


def current_worker() -> WorkerState | None:
    """Return the worker that this code runs in; None outside of a pool."""
    return surroundings.get()[0]


def enter_worker(worker: WorkerState) -> None:
    """Make this the worker of the context."""
    _, monitor, timer = surroundings.get()
    surroundings.set((worker, monitor, timer))


@contextmanager
def monitor_workers() -> Generator[WorkerMonitor, None, None]:
    """Watch the workers of pools that begin while the block runs, those in tasks and jobs that it begins included.

    Usage: `with monitor_workers() as monitor: ... watch_stalls(monitor.busy, monitor.finished, ...)`
    """
    worker, around, timer = surroundings.get()
    monitor = WorkerMonitor(around)
    surroundings.set((worker, monitor, timer))
    try:
        yield monitor
    finally:
        worker, _, timer = surroundings.get()
        surroundings.set((worker, around, timer))


class waiting:  # noqa: N801  # a block, and not a generator's: that takes three times as long, several times a request
    """Say what the job waits for while the block runs.

    It is `queue`, `limiter`, `gate`, `backoff`, `connect`, `request`, `compute`, `store`, or `another job`.

    Seconds of an `idle` wait count as waiting, others (a request that is under way) as running. `words` says it to a person, as it stands
    when it is called. Outside of a pool it does nothing.
    """

    __slots__ = ("_idle", "_reason", "_words", "_worker")

    def __init__(self, reason: str, *, idle: bool = True, words: Callable[[], str | None] | None = None) -> None:
        self._reason, self._idle, self._words = reason, idle, words
        self._worker: WorkerState | None = None

    def __enter__(self) -> None:
        worker = self._worker = surroundings.get()[0]
        if worker is None:
            return
        worker.reasons = (*worker.reasons, self._reason)
        worker.waits_for = self._reason
        worker.words = self._words
        if self._idle:
            if not worker.idle:
                worker.idle_since = worker.clock.monotonic()
            worker.idle += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        worker = self._worker
        if worker is None:
            return
        # Tasks of one job may wait side by side, and end in any order: seconds are counted once, from the first to the last.
        place = worker.reasons.index(self._reason)
        worker.reasons = worker.reasons[:place] + worker.reasons[place + 1 :]
        worker.waits_for = worker.reasons[-1] if worker.reasons else None
        worker.words = None
        if self._idle:
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


SHORTEST_EVENT = 0.001
"""Seconds below which a wait is no event; it counts in the batch's sums all the same."""


def wait_event(reason: str, seconds: float) -> AbstractContextManager[Callable[[Waits], None]]:
    """Return the event of a wait that is expected to last so long; it yields what ends it with how the wait was spent."""
    manager = current_manager()
    if seconds < SHORTEST_EVENT or manager is None or not manager.handlers:
        return _NO_EVENT
    return _open_wait_event(manager, reason)


_NO_EVENT: AbstractContextManager[Callable[[Waits], None]] = nullcontext(lambda _: None)


@contextmanager
def _open_wait_event(manager: CallbackManager, reason: str) -> Generator[Callable[[Waits], None], None, None]:
    with manager.event(CBEventType.WAIT, payload={"name": reason}) as event:
        yield lambda waits: event.on_end(payload={"name": _longest(waits) or reason, **waits.payload()})


def _longest(waits: Waits) -> str:
    seconds = waits.payload()
    return max(seconds, key=seconds.__getitem__).partition(".")[2] if seconds else ""


Part = Literal["connect", "decode"]


class AttemptTimer:
    """The parts of one attempt so far; `time_spent_on` adds to them while the block runs. `worker` of an executor has made it, if any.

    Usage: `with AttemptTimer(clock) as timer: ... timer.waits()`
    """

    __slots__ = ("_began", "_elsewhere", "_outer", "_parts", "clock", "worker")

    def __init__(self, clock: Clock) -> None:
        self.worker: str | None = None
        self._elsewhere: Waits | None = None
        self.clock = clock
        self._began = clock.monotonic()
        self._parts: dict[Part, float] = {"connect": 0.0, "decode": 0.0}
        self._outer: AttemptTimer | None = None

    def __enter__(self) -> Self:
        worker, monitor, self._outer = surroundings.get()
        surroundings.set((worker, monitor, self))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        worker, monitor, _ = surroundings.get()
        surroundings.set((worker, monitor, self._outer))

    def add(self, part: Part, since: float) -> None:
        """Count the seconds since then as those of a part."""
        self._parts[part] += self.clock.monotonic() - since

    def was_made_on(self, worker: str, waits: Waits) -> None:
        """Take what a worker of an executor says of the attempt: its name, and what part of the time it was elsewhere or on its way."""
        self.worker = worker
        self._elsewhere = waits if self._elsewhere is None else self._elsewhere + waits

    def waits(self) -> Waits:
        """Return the seconds so far; what is no part is the request."""
        seconds = self.clock.monotonic() - self._began - sum(self._parts.values())
        if self._elsewhere is None:
            return Waits(request=max(seconds, 0.0), **self._parts)
        return Waits(request=max(seconds - self._elsewhere.total, 0.0), **self._parts) + self._elsewhere


class time_spent_on(waiting):  # noqa: N801  # a block as `waiting` is
    """Count the seconds of the block as part of the attempt that is being made; outside of one it does nothing."""

    __slots__ = ("_part", "_since", "_timer")

    def __init__(self, part: Part) -> None:
        super().__init__(part, idle=False)
        self._part: Part = part

    def __enter__(self) -> None:
        self._timer = surroundings.get()[2]
        if self._timer is not None:
            self._since = self._timer.clock.monotonic()
            super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            super().__exit__(kind, error, trace)
            self._timer.add(self._part, self._since)


def attempt_made_on(worker: str, waits: Waits) -> None:
    """Say which worker of an executor has made the attempt that is under way, and its `waits`; outside of an attempt it does nothing.

    They are seconds that the attempt knows nothing of: `queue` and `ship` of a WorkerAnswer, `connect` and `decode` as the worker took
    them. What is left of the attempt's time is its request.
    """
    own = surroundings.get()[2]
    if own is not None:
        own.was_made_on(worker, waits)
