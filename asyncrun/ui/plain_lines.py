"""Progress as plain lines, for logs and mails: one a finished task, and a sign of life once a minute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from asyncrun.clock import Clock
from asyncrun.escape import printable
from asyncrun.humanize import counted, duration
from asyncrun.ports import Progress
from asyncrun.records import ItemFailure
from asyncrun.results import JobResult, Status
from asyncrun.streams import OutputStream
from asyncrun.ui.failed_items import render_failure, render_more_failures
from asyncrun.ui.formatting import render_counts, render_rate, render_usage, render_warning
from asyncrun.ui.run_state import NAMED_FAILURES, TaskState, TrackingProgress

HEARTBEAT = 60.0
"""Seconds between two signs of life."""


class WarningsOnly(Progress):
    """Shows warnings and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._out = OutputStream(stream)

    def warn(self, message: str) -> None:
        """Write one line."""
        self._out.line(render_warning(message))


class PlainProgress(TrackingProgress):
    """Writes lines without colour and without moving the cursor.

    A line for every finished task, for the first failed item of each sort (the others are counted), for every warning,
    and at most one a minute that says how the running tasks stand. Nothing runs in the background: the lines come with the calls.
    When it is `verbose`, a task that begins has a line too, and every failed item is named.
    """

    def __init__(self, stream: TextIO, clock: Clock, *, verbose: bool = False) -> None:
        super().__init__(clock, named_failures=None if verbose else NAMED_FAILURES)
        self._out = OutputStream(stream)
        self._verbose = verbose
        self._spoke = clock.monotonic()

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Note the tasks."""
        super().run_started(run_id, tasks)
        self._spoke = self._clock.monotonic()

    def task_started(self, task: str, total: int | None) -> None:
        """Note that a task has begun."""
        super().task_started(task, total)
        if self._verbose:
            self._out.line(render_begun(task, total))

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        """Name the item, or count it."""
        if self.note_failure(task, failure):
            self._out.line(render_failure(task, failure))

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Write how the task ended."""
        now = self._clock.monotonic()
        state = self.note_end(task, result)
        if state.unnamed_failures:
            self._out.line(render_more_failures(task, state.unnamed_failures))
        self._out.line(render_finished(state, now))

    def warn(self, message: str) -> None:
        """Write one line."""
        self._out.line(render_warning(message))

    def close(self) -> None:
        """Hand over what is buffered."""
        self._out.flush()

    def _report_if_due(self) -> None:
        now = self._clock.monotonic()
        if now - self._spoke < HEARTBEAT:
            return
        self._spoke = now
        running = [render_running(task, now) for task in self.tasks if task.status is Status.RUNNING]
        if running:
            self._out.line("running: " + "; ".join(running))


def render_begun(task: str, total: int | None) -> str:
    """Return one line that says that a task begins.

    >>> render_begun("notes", 1200)
    'notes: begins, 1,200 items'
    """
    return f"{printable(task)}: begins" + ("" if total is None else f", {counted(total, 'item')}")


def render_finished(task: TaskState, now: float) -> str:
    """Return one line that says how a task ended.

    >>> from asyncrun.results import Counts
    >>> render_finished(TaskState("notes", Status.SUCCEEDED, 3, Counts(ok=3), started=1.0, ended=3.5), now=9.0)
    'notes: succeeded: 3 ok in 2.5 s'
    """
    line = f"{printable(task.name)}: {task.status.value}: {render_counts(task.counts)} in {duration(task.seconds(now))}"
    return f"{line}: {printable(task.reason)}" if task.reason else line


def render_running(task: TaskState, now: float) -> str:
    """Return how a running task stands, without an end of line.

    >>> from asyncrun.results import Counts
    >>> render_running(TaskState("notes", Status.RUNNING, 40, Counts(ok=10), started=0.0), 5.0)
    'notes 10 of 40 (25%), 2.0/s, 15 s left'
    """
    share = "" if task.share is None else f" of {task.total:,} ({task.share:.0%})"
    parts = [f"{printable(task.name)} {task.done:,}{share}"]
    parts += [f"{number:,} {word}" for word in ("failed", "cached") if (number := getattr(task.counts, word))]
    rate, left = task.rate(now), task.left(now)
    if rate is not None:
        parts.append(render_rate(rate))
    if left is not None:
        parts.append(f"{duration(left)} left")
    parts += render_usage(task.usage)
    if task.waiting:
        parts.append(f"waiting for {printable(task.waiting)}")
    return ", ".join(parts)
