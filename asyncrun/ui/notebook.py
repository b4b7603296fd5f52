"""Progress in a notebook: a table with a bar for each task, one output of the cell, which is drawn anew in its place."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from html import escape
from typing import TextIO

from asyncrun.clock import Clock
from asyncrun.escape import printable
from asyncrun.records import ItemFailure
from asyncrun.results import JobResult, Status
from asyncrun.streams import OutputStream
from asyncrun.ui.cell_output import CellOutput
from asyncrun.ui.failed_items import render_failure, render_more_failures
from asyncrun.ui.formatting import render_warning
from asyncrun.ui.plain_lines import render_finished, render_running
from asyncrun.ui.progress_frame import count_more, render_figures
from asyncrun.ui.run_state import NAMED_FAILURES, TaskState, TrackingProgress

logger = logging.getLogger(__name__)

REDRAW_EVERY = 0.2
"""Seconds between two drawings: each is a message to whoever looks at the notebook, and is kept in none but the last."""
MOST_TASKS = 40
"""How many tasks are drawn; the others are counted."""
_ROOM = 120
"""Cells that the figures of a task get: a notebook is about as wide as a screen."""


class NotebookProgress(TrackingProgress):
    """Draws all tasks in one output; failed items and warnings are lines of stderr, which stand below.

    Nothing runs in the background: it draws within the calls, which come at least once a second.
    """

    def __init__(self, output: CellOutput, stderr: TextIO, clock: Clock) -> None:
        super().__init__(clock, named_failures=NAMED_FAILURES)
        self._output: CellOutput | None = output
        self._err = OutputStream(stderr)
        self._drawn = float("-inf")
        self._drawing = threading.Lock()

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Draw all tasks as pending."""
        super().run_started(run_id, tasks)
        self._draw()

    def task_started(self, task: str, total: int | None) -> None:
        """Draw a task as running."""
        super().task_started(task, total)
        self._draw()

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        """Name the first item of each sort of failure, count the others."""
        if self.note_failure(task, failure):
            self._err.line(render_failure(task, failure))

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Draw how the task ended."""
        state = self.note_end(task, result)
        if state.unnamed_failures:
            self._err.line(render_more_failures(task, state.unnamed_failures))
        self._draw()

    def warn(self, message: str) -> None:
        """Write one line."""
        self._err.line(render_warning(message))

    def close(self) -> None:
        """Draw a task that has not ended as stopped. May be called twice."""
        if self.note_stop():
            self._draw()

    def _report_if_due(self) -> None:
        if self._clock.monotonic() - self._drawn >= REDRAW_EVERY:
            self._draw()

    def _draw(self) -> None:
        with self._drawing:
            if self._output is None:
                return
            self._drawn = now = self._clock.monotonic()
            try:
                self._output.show(html=render_table(self.tasks, now), text=render_text(self.tasks, now))
            except Exception as error:
                # A front end that does not take it loses the picture, and not the run.
                self._output = None
                logger.warning("progress is switched off: the notebook does not take it: %s", error)


def render_table(tasks: Sequence[TaskState], now: float) -> str:
    """Return the tasks as an HTML table: name, status, bar, figures. `now` is seconds of the monotonic clock."""
    shown, more = _fold(tasks)
    rows = [[escape(printable(task.name)), task.status.value, _bar(task), escape(render_figures(task, now, _ROOM))] for task in shown]
    lines = ["".join(f'<td style="text-align: left">{cell}</td>' for cell in row) for row in rows]
    lines += [f'<td colspan="4" style="text-align: left">{count_more(more)}</td>'] if more else []
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def render_text(tasks: Sequence[TaskState], now: float) -> str:
    """Return the tasks as lines, for what shows no HTML."""
    shown, more = _fold(tasks)
    return "\n".join([*(_line(task, now) for task in shown), *([count_more(more)] if more else [])])


def _fold(tasks: Sequence[TaskState]) -> tuple[list[TaskState], list[TaskState]]:
    """Return the tasks that are drawn, those that run before those that wait before those that have ended, and the others."""
    ranks = {Status.RUNNING: 0, Status.PENDING: 1}
    chosen = set(sorted(range(len(tasks)), key=lambda at: ranks.get(tasks[at].status, 2))[:MOST_TASKS])
    return [task for at, task in enumerate(tasks) if at in chosen], [task for at, task in enumerate(tasks) if at not in chosen]


def _line(task: TaskState, now: float) -> str:
    if task.status is Status.PENDING:
        return f"{printable(task.name)}: pending"
    return render_running(task, now) if task.status is Status.RUNNING else render_finished(task, now)


def _bar(task: TaskState) -> str:
    if task.status is Status.RUNNING and task.share is None:
        return "<progress></progress>"
    done = float(task.status is Status.SUCCEEDED) if task.share is None else task.share
    return f'<progress max="1" value="{done:.3f}"></progress>'
