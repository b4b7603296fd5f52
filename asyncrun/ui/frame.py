"""One picture of all tasks, drawn with Rich from their states: a line a task, nothing read from the machine."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from asyncrun.escape import printable
from asyncrun.records import Status
from asyncrun.ui.board import TaskState
from asyncrun.ui.wording import render_duration, render_rate

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
_FIGURES_WIDTH = 48
_LONGEST_NAME = 32


def render_frame(tasks: Sequence[TaskState], now: float, width: int, height: int = 24) -> RenderableType:
    """Return the tasks that have not ended, one line each: at most `height` lines of `width` cells.

    Running tasks come first; pending ones that find no room are counted in the last line. `now` is seconds of the monotonic clock.
    """
    running = [task for task in tasks if task.status is Status.RUNNING]
    open_tasks = running + [task for task in tasks if task.status is Status.PENDING]
    shown = open_tasks if len(open_tasks) <= height else open_tasks[: max(height - 1, 0)]
    lines: list[RenderableType] = [render_row(task, now, width, name_width(tasks, width)) for task in shown]
    if len(shown) < len(open_tasks):
        lines.append(Text(f"and {len(open_tasks) - len(shown):,} more", style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def name_width(tasks: Sequence[TaskState], width: int) -> int:
    """Return how many cells the names get: what the longest needs, a third of the line at most."""
    longest = max((Text(printable(task.name)).cell_len for task in tasks), default=0)
    return max(min(longest, _LONGEST_NAME, width // 3), 1)


def render_row(task: TaskState, now: float, width: int, names: int) -> RenderableType:
    """Return the line of one task: name, status, bar, figures. `names` is the width of the column of names.

    A narrow screen loses the bar first: the same is in the figures.
    """
    row = Table.grid(padding=(0, 1), pad_edge=False)
    row.add_column(width=names, no_wrap=True, overflow="ellipsis")
    row.add_column(width=_STATUS_WIDTH, no_wrap=True)
    # A Text is never read as markup, so a name such as "[red]" stays what it is.
    cells: list[RenderableType] = [Text(printable(task.name)), Text(task.status.value, style=STYLES[task.status])]
    room = width - names - _STATUS_WIDTH - 2
    bar = min(room - _FIGURES_WIDTH, 40)
    if bar >= 6:
        row.add_column(width=bar)
        cells.append(_bar(task, now, bar))
        room -= bar + 1
    row.add_column(width=max(room, 1), no_wrap=True, overflow="ellipsis")
    cells.append(_figures(task, now))
    row.add_row(*cells)
    return row


def _bar(task: TaskState, now: float, width: int) -> RenderableType:
    if task.status is Status.RUNNING and task.total is None:
        return ProgressBar(total=None, width=width, animation_time=now)
    full = task.total or task.done or 1
    whole = task.total == 0 and task.status is Status.SUCCEEDED
    return ProgressBar(total=full, completed=full if whole else min(task.done, full), width=width)


def _figures(task: TaskState, now: float) -> Text:
    if task.status is Status.PENDING:
        return Text("")
    parts = [f"{task.done:,}/{task.total:,}" if task.total is not None else f"{task.done:,}"]
    parts += [f"{number:,} {word}" for word in ("failed", "cached") if (number := getattr(task.counts, word))]
    if task.waiting:
        parts.append(f"waiting for {printable(task.waiting)}")
    rate, left = task.rate(now), task.left(now)
    if rate is not None:
        parts.append(render_rate(rate))
    if left is not None:
        parts.append(f"{render_duration(left)} left")
    if task.ended is not None:
        parts.append(render_duration(task.seconds(now)))
    if task.reason:
        parts.append(printable(task.reason))
    return Text(", ".join(parts))
