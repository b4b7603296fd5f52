"""Where every task of a run stands, kept from the calls of a run; what is shown is made from it."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from asyncrun.clock import Clock
from asyncrun.failure_groups import FailureGroup, FailureGroups, merged
from asyncrun.ports import Progress
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, Status
from asyncrun.ui.time_left import Workload
from asyncrun.usage import Load, Usage, Waits

NAMED_FAILURES = 10
"""How many failed items of a task are named, each the first of its sort; the others are counted."""


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


class TrackingProgress(Progress):
    """Keeps where every task stands, and looks at it after each change. Any thread may call it; `tasks` is a snapshot.

    Of each task the first failed item of each sort is named, at most `named_failures`, all items when it is None; the others are counted.
    """

    def __init__(self, clock: Clock, *, named_failures: int | None = NAMED_FAILURES) -> None:
        self._clock = clock
        self._named_failures = named_failures
        self._tasks: dict[str, TaskState] = {}
        self._failures: dict[str, FailureGroups] = {}
        self._lock = threading.Lock()

    @property
    def tasks(self) -> tuple[TaskState, ...]:
        """Return all tasks, in the order in which they were named."""
        with self._lock:
            return tuple(self._tasks.values())

    def failure_groups(self, most: int) -> list[tuple[str, FailureGroup]]:
        """Return what items failed by, each with its task, or how many have it: the `most` frequent sorts, as they came."""
        with self._lock:
            groups = merged((task, group) for task, failures in self._failures.items() for group in failures.in_order())
        kept = heapq.nlargest(most, range(len(groups)), key=lambda number: groups[number][1].count)
        return [groups[number] for number in sorted(kept)]

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Note the tasks that a run has."""
        with self._lock:
            self._tasks.update({name: TaskState(name) for name in tasks if name not in self._tasks})

    def task_started(self, task: str, total: int | None) -> None:
        """Note that a task has begun."""
        with self._lock:
            self._tasks[task] = TaskState(task, Status.RUNNING, total, started=self._clock.monotonic())

    def advance(self, task: str, counts: Counts) -> None:
        """Add items that have ended."""
        with self._lock:
            state = self._of(task)
            self._tasks[task] = replace(state, counts=state.counts + counts)
        self._report_if_due()

    def use(self, task: str, usage: Usage) -> None:
        """Add what requests used."""
        with self._lock:
            state = self._of(task)
            self._tasks[task] = replace(state, usage=state.usage + usage)

    def expect(self, task: str, left: Load) -> None:
        """Note what a task still has to send."""
        with self._lock:
            state = self._of(task)
            if state.work is not None:
                self._tasks[task] = replace(state, work=state.work.expect(left))
            elif left.texts:
                self._tasks[task] = replace(state, work=Workload(self._clock.monotonic(), left), before=state.done)

    def sending(self, task: str, load: Load) -> None:
        """Note that a call of a task has begun."""
        with self._lock:
            state = self._of(task)
            if state.work is not None:
                self._tasks[task] = replace(state, work=state.work.send(load, self._clock.monotonic()))

    def received(self, task: str, load: Load, waits: Waits | None) -> None:
        """Note that a call of a task has ended."""
        with self._lock:
            state = self._of(task)
            if state.work is not None:
                waited = None if waits is None else waits.in_line
                self._tasks[task] = replace(state, work=state.work.receive(load, self._clock.monotonic(), waited))
        self._report_if_due()

    def waiting(self, task: str, reason: str | None) -> None:
        """Note what a task waits for."""
        with self._lock:
            state = self._of(task)
            if state.ended is None:
                self._tasks[task] = replace(state, waiting=reason)
        self._report_if_due()

    def note_failure(self, task: str, failure: ItemFailure) -> bool:
        """Note a failed item; return whether it is one of those that are named."""
        with self._lock:
            state = self._of(task)
            is_new = self._failures.setdefault(task, FailureGroups()).add(failure)
            named = self._named_failures is None or (is_new and state.failures - state.unnamed_failures < self._named_failures)
            unnamed = state.unnamed_failures + (not named)
            self._tasks[task] = replace(state, failures=state.failures + 1, unnamed_failures=unnamed)
            return named

    def note_end(self, task: str, result: JobResult | None) -> TaskState:
        """Note that a task has ended and return how; without a result it ended well."""
        now = self._clock.monotonic()
        with self._lock:
            state = replace(self._of(task), waiting=None, ended=now)
            if result is None:
                state = replace(state, status=Status.SUCCEEDED)
            else:
                # What it did before it could say how many items it has is part of its time.
                state = replace(
                    state,
                    status=result.status,
                    reason=result.reason,
                    counts=result.counts,
                    usage=result.usage,
                    started=now - result.seconds,
                )
            self._tasks[task] = state
            return state

    def note_stop(self) -> list[TaskState]:
        """Note that what runs has been stopped, and return it."""
        now = self._clock.monotonic()
        with self._lock:
            running = [task for task in self._tasks.values() if task.status is Status.RUNNING]
            stopped = [replace(task, status=Status.STOPPED, waiting=None, ended=now) for task in running]
            self._tasks.update({task.name: task for task in stopped})
            return stopped

    def _of(self, task: str) -> TaskState:
        return self._tasks.get(task) or TaskState(task)

    def _report_if_due(self) -> None:
        """Say how the tasks stand, where that is due."""
