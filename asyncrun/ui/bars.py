"""Progress as bars that move on a terminal: one line a task, with what fits into it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import IO, TextIO, cast

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from asyncrun.clock import Clock
from asyncrun.escape import printable
from asyncrun.humanize import duration
from asyncrun.records import ItemFailure
from asyncrun.results import JobResult, RunResult, Status
from asyncrun.streams import OutputStream
from asyncrun.ui.failed_items import render_failure, render_more_failures
from asyncrun.ui.formatting import render_rate, render_usage, render_warning
from asyncrun.ui.run_state import NAMED_FAILURES, TaskState, TrackingProgress
from asyncrun.ui.terminal import Screen

REDRAW_EVERY = 0.1
"""Seconds between two drawings."""

STYLES = {
    Status.PENDING: "dim",
    Status.RUNNING: "cyan",
    Status.SUCCEEDED: "green",
    Status.PARTIAL: "yellow",
    Status.FAILED: "bold red",
    Status.STOPPED: "yellow",
    Status.CANCELLED: "yellow",
}
_STATUS_WIDTH = max(map(len, Status))
_NARROWEST_WITH_BAR = 48
"""Cells beside name and status below which figures get all of them."""
_LONGEST_NAME = 32


class BarProgress(TrackingProgress):
    """Draws the tasks at the foot of the screen; what has ended, and every message, scrolls away above.

    A call changes numbers and nothing else: one thread draws, from the first task on until `close`.
    """

    def __init__(self, stream: TextIO, clock: Clock, *, colour: bool = True, verbose: bool = False) -> None:
        super().__init__(clock, named_failures=None if verbose else NAMED_FAILURES)
        self._console = Console(
            # An OutputStream has what Console uses of a stream: write, flush, isatty, fileno, encoding.
            file=cast("IO[str]", OutputStream(stream)),
            force_terminal=True,
            no_color=not colour,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._screen = Screen(self._console, self._picture, every=REDRAW_EVERY, redirect=stream is sys.stderr)

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Show all tasks as pending."""
        super().run_started(run_id, tasks)
        self._screen.start()

    def task_started(self, task: str, total: int | None) -> None:
        """Show a task as running."""
        super().task_started(task, total)
        self._screen.start()

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        """Name the item above the bars, or count it."""
        if self.note_failure(task):
            self._screen.say(Text(render_failure(task, failure)))

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Leave the task's last line above the bars."""
        state = self.note_end(task, result)
        if state.unnamed_failures:
            self._screen.say(Text(render_more_failures(task, state.unnamed_failures)))
        self._screen.say(self._row(state))

    def run_finished(self, result: RunResult) -> None:
        """Stop drawing: how the run ended is said below."""
        self.close()

    def warn(self, message: str) -> None:
        """Show a line above the bars."""
        self._screen.say(Text(render_warning(message), style="yellow"))

    def close(self) -> None:
        """Stop drawing; a task that has not ended leaves its line too. May be called twice."""
        for task in self.note_stop():
            self._screen.say(self._row(task))
        self._screen.close()

    def _picture(self) -> RenderableType:
        width, height = self._console.size
        return render_frame(self.tasks, self._clock.monotonic(), width, max(height - 1, 1))

    def _row(self, task: TaskState) -> RenderableType:
        width = self._console.width
        return render_row(task, self._clock.monotonic(), width, name_width(self.tasks, width))


def render_frame(tasks: Sequence[TaskState], now: float, width: int, height: int = 24) -> RenderableType:
    """Return the tasks that have not ended, one line each: at most `height` lines of `width` cells.

    Running tasks come first; the last line counts those that find no room. `now` is seconds of the monotonic clock.
    """
    running = [task for task in tasks if task.status is Status.RUNNING]
    open_tasks = running + [task for task in tasks if task.status is Status.PENDING]
    shown = open_tasks if len(open_tasks) <= height else open_tasks[: max(height - 1, 0)]
    lines: list[RenderableType] = [render_row(task, now, width, name_width(tasks, width)) for task in shown]
    if folded := open_tasks[len(shown) :]:
        lines.append(Text(count_more(folded), style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def count_more(tasks: Sequence[TaskState]) -> str:
    """Return how many tasks there are besides those that are drawn, by their status."""
    statuses = [task.status for task in tasks]
    counted = ((statuses.count(status), status.value) for status in sorted(Status, key=lambda each: each is not Status.RUNNING))
    return f"and {len(tasks):,} more: " + ", ".join(f"{number:,} {word}" for number, word in counted if number)


def name_width(tasks: Sequence[TaskState], width: int) -> int:
    """Return how many cells the names get: what the longest needs, a third of the line at most."""
    longest = max((Text(printable(task.name)).cell_len for task in tasks), default=0)
    return max(min(longest, _LONGEST_NAME, width // 3), 1)


def render_row(task: TaskState, now: float, width: int, names: int) -> RenderableType:
    """Return the line of one task: name, status, bar, figures. `names` is the width of the column of names.

    A narrow screen loses the bar first, since the same is in the figures, then the figures that matter least; none is cut in two.
    """
    row = Table.grid(padding=(0, 1), pad_edge=False)
    row.add_column(width=names, no_wrap=True, overflow="ellipsis")
    row.add_column(width=_STATUS_WIDTH, no_wrap=True)
    # A Text is never read as markup, so a name such as "[red]" stays what it is.
    cells: list[RenderableType] = [Text(printable(task.name)), Text(task.status.value, style=STYLES[task.status])]
    room = width - names - _STATUS_WIDTH - 2
    if room >= _NARROWEST_WITH_BAR:
        bar = room // 6
        row.add_column(width=bar)
        cells.append(_bar(task, now, bar))
        room -= bar + 1
    row.add_column(width=max(room, 1), no_wrap=True, overflow="ellipsis")
    cells.append(Text(render_figures(task, now, max(room, 1))))
    row.add_row(*cells)
    return row


def _bar(task: TaskState, now: float, width: int) -> RenderableType:
    if task.status is Status.RUNNING and task.total is None:
        return ProgressBar(total=None, width=width, animation_time=now)
    if task.share is not None:
        return ProgressBar(total=1.0, completed=task.share, width=width)
    return ProgressBar(total=1, completed=int(task.status is Status.SUCCEEDED or (task.total is None and task.done > 0)), width=width)


def render_figures(task: TaskState, now: float, room: int) -> str:
    """Return what is known of a task, in the order of reading; where the room is short, what matters least is left out."""
    if task.status is Status.PENDING:
        return ""
    figures = _known(task, now, room)
    kept: list[str] = []
    for words in sorted(figures, key=figures.__getitem__):
        wanted = [*kept, words]
        if not kept or cell_len(", ".join(wanted)) <= room:
            kept = wanted
    return ", ".join(words for words in figures if words in kept)


def _known(task: TaskState, now: float, room: int) -> dict[str, int]:
    """Return what is known of a task, in the order of reading, each with its rank: what matters most has the lowest.

    What a task waits for is said shorter where the room is short, and before what is done: that stands still meanwhile.
    """
    rate, left = task.rate(now), task.left(now)
    done = f"{task.done:,}/{task.total:,}" if task.total is not None else f"{task.done:,}"
    figures = {done: 0}
    figures |= {f"{number:,} {word}": rank for word, rank in (("failed", 3), ("cached", 6)) if (number := getattr(task.counts, word))}
    figures |= {} if rate is None else {render_rate(rate): 5}
    figures |= dict.fromkeys(render_usage(task.usage), 7)
    figures |= {} if left is None else {f"{duration(left)} left": 4}
    figures |= {} if task.ended is None else {duration(task.seconds(now)): 1}
    if task.waiting:
        long = f"waiting for {printable(task.waiting)}"
        figures |= {long: 2} if cell_len(f"{done}, {long}") <= room else {printable(task.waiting): -1}
    return figures | ({} if not task.reason else {printable(task.reason): 2})
