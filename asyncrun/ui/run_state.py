"""Where every task of a run stands, kept from the calls of a run; what is shown is made from it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from asyncrun.clock import Clock
from asyncrun.ports import Progress
from asyncrun.results import Counts, JobResult, Status
from asyncrun.ui.time_left import Workload
from asyncrun.usage import Load, Usage, Waits

NAMED_FAILURES = 10
"""How many failed items of a task are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """How one task stands; `started` and `ended` are seconds of the monotonic clock, None before.

    `work` is what it sends, None for one that has not said so, `before` how many items had ended when it began to send.
    """

    name: str
    status: Status = Status.PENDING
    total: int | None = None
    counts: Counts = field(default_factory=Counts)
    usage: Usage = field(default_factory=Usage)
    failures: int = 0
    unnamed_failures: int = 0
    waiting: str | None = None
    reason: str | None = None
    started: float | None = None
    ended: float | None = None
    work: Workload | None = None
    before: int = 0

    @property
    def done(self) -> int:
        """Return how many items have ended, in whatever way."""
        return self.counts.ok + self.counts.failed + self.counts.skipped

    def seconds(self, now: float) -> float:
        """Return for how long the task has run, or ran."""
        if self.started is None:
            return 0.0
        return max((now if self.ended is None else self.ended) - self.started, 0.0)

    def rate(self, now: float) -> float | None:
        """Return items per second, those of earlier runs not counted: they cost no time. None while it cannot be known."""
        seconds, fresh = self.seconds(now), self.done - self.counts.cached
        return fresh / seconds if fresh > 0 and seconds > 0 else None

    @property
    def share(self) -> float | None:
        """Return how much of the task is done, from 0 to 1: by items, or where it sends something, by what is answered of it."""
        if not self.total:
            return None
        if self.work is None or self.status is not Status.RUNNING:
            return min(self.done / self.total, 1.0)
        before = min(self.before / self.total, 1.0)
        return before + (1 - before) * self.work.share

    def left(self, now: float) -> float | None:
        """Return how many seconds the task still takes; None while that cannot be known.

        It is that of what it still has to send, or where it has not said so, that of its items at their present rate.
        """
        if self.status is not Status.RUNNING:
            return None
        if self.work is not None:
            return self.work.seconds_left(now)
        rate = self.rate(now)
        if rate is None or self.total is None:
            return None
        return max(self.total - self.done, 0) / rate


class RunState:
    """Keeps the state of every task. Any thread may call it; `tasks` is a snapshot.

    Of each task the first failed items are named, `named` of them, all of them when it is None.
    """

    def __init__(self, named: int | None = NAMED_FAILURES) -> None:
        self._named = named
        self._tasks: dict[str, TaskState] = {}
        self._lock = threading.Lock()

    @property
    def tasks(self) -> tuple[TaskState, ...]:
        """Return all tasks, in the order in which they were named."""
        with self._lock:
            return tuple(self._tasks.values())

    def announce(self, names: Sequence[str]) -> None:
        """Note the tasks that a run has."""
        with self._lock:
            self._tasks.update({name: TaskState(name) for name in names if name not in self._tasks})

    def start(self, name: str, total: int | None, now: float) -> None:
        """Note that a task has begun."""
        with self._lock:
            self._tasks[name] = TaskState(name, Status.RUNNING, total, started=now)

    def advance(self, name: str, counts: Counts) -> None:
        """Add items that have ended."""
        with self._lock:
            task = self._of(name)
            self._tasks[name] = replace(task, counts=task.counts + counts)

    def use(self, name: str, usage: Usage) -> None:
        """Add what requests used."""
        with self._lock:
            task = self._of(name)
            self._tasks[name] = replace(task, usage=task.usage + usage)

    def expect(self, name: str, left: Load, now: float) -> None:
        """Note what a task still has to send."""
        with self._lock:
            task = self._of(name)
            if task.work is not None:
                self._tasks[name] = replace(task, work=task.work.expect(left))
            elif left.texts:
                self._tasks[name] = replace(task, work=Workload(now, left), before=task.done)

    def send(self, name: str, load: Load, now: float) -> None:
        """Note that a call of a task has begun."""
        with self._lock:
            task = self._of(name)
            if task.work is not None:
                self._tasks[name] = replace(task, work=task.work.send(load, now))

    def receive(self, name: str, load: Load, waits: Waits | None, now: float) -> None:
        """Note that a call of a task has ended."""
        with self._lock:
            task = self._of(name)
            if task.work is not None:
                waited = None if waits is None else waits.in_line
                self._tasks[name] = replace(task, work=task.work.receive(load, now, waited))

    def fail(self, name: str) -> bool:
        """Note a failed item; return whether it is one of those that are named."""
        with self._lock:
            task = self._of(name)
            named = self._named is None or task.failures < self._named
            unnamed = task.unnamed_failures + (not named)
            self._tasks[name] = replace(task, failures=task.failures + 1, unnamed_failures=unnamed)
            return named

    def wait(self, name: str, reason: str | None) -> None:
        """Note what a task waits for."""
        with self._lock:
            task = self._of(name)
            if task.ended is None:
                self._tasks[name] = replace(task, waiting=reason)

    def finish(self, name: str, result: JobResult | None, now: float) -> TaskState:
        """Note that a task has ended and return how; without a result it ended well."""
        with self._lock:
            task = replace(self._of(name), waiting=None, ended=now)
            if result is None:
                task = replace(task, status=Status.SUCCEEDED)
            else:
                task = replace(task, status=result.status, reason=result.reason, counts=result.counts, usage=result.usage)
                # What it did before it could say how many items it has is part of its time.
                task = replace(task, started=now - result.seconds)
            self._tasks[name] = task
            return task

    def close(self, now: float) -> list[TaskState]:
        """Note that what runs has been stopped, and return it."""
        with self._lock:
            left = [
                replace(task, status=Status.STOPPED, waiting=None, ended=now)
                for task in self._tasks.values()
                if task.status is Status.RUNNING
            ]
            self._tasks.update({task.name: task for task in left})
            return left

    def _of(self, name: str) -> TaskState:
        return self._tasks.get(name) or TaskState(name)


class TrackingProgress(Progress):
    """Keeps where every task stands, and looks at it after each change; of each task the first `named` failures are named."""

    def __init__(self, clock: Clock, *, named: int | None = NAMED_FAILURES) -> None:
        self._clock = clock
        self._state = RunState(named)

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Note the tasks."""
        self._state.announce(tasks)

    def task_started(self, task: str, total: int | None) -> None:
        """Note that a task has begun."""
        self._state.start(task, total, self._clock.monotonic())

    def advance(self, task: str, counts: Counts) -> None:
        """Count."""
        self._state.advance(task, counts)
        self._report_if_due()

    def use(self, task: str, usage: Usage) -> None:
        """Add up."""
        self._state.use(task, usage)

    def expect(self, task: str, left: Load) -> None:
        """Note what is to be sent."""
        self._state.expect(task, left, self._clock.monotonic())

    def sending(self, task: str, load: Load) -> None:
        """Note a call."""
        self._state.send(task, load, self._clock.monotonic())

    def received(self, task: str, load: Load, waits: Waits | None) -> None:
        """Note its end."""
        self._state.receive(task, load, waits, self._clock.monotonic())
        self._report_if_due()

    def waiting(self, task: str, reason: str | None) -> None:
        """Note what a task waits for."""
        self._state.wait(task, reason)
        self._report_if_due()

    def _report_if_due(self) -> None:
        """Say how the tasks stand, where that is due."""
