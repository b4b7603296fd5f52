"""The picture of a run that goes on: what items failed by, a row for each task, and a row of all together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from asyncrun.escape import printable
from asyncrun.failure_groups import FailureGroup
from asyncrun.humanize import counted, duration
from asyncrun.results import Counts, Status
from asyncrun.trace.views.styled_text import line_text
from asyncrun.ui.failed_items import render_group
from asyncrun.ui.formatting import render_rate, render_usage
from asyncrun.ui.run_state import TaskState
from asyncrun.usage import Usage

STYLES = {
    Status.PENDING: "dim",
    Status.RUNNING: "cyan",
    Status.SUCCEEDED: "green",
    Status.PARTIAL: "yellow",
    Status.FAILED: "bold red",
    Status.STOPPED: "yellow",
    Status.CANCELLED: "yellow",
}
_EMPTY = "dim"
"""The style of what is left of a bar: fainter than the text, on a bright screen as on a dark one."""
MOST_GROUPS = 5
"""Sorts of failures that are shown while a run goes on."""
_STATUS_WIDTH = max(map(len, Status))
_NARROWEST_WITH_STATUS = 12
"""Cells beside name and status below which the figures get those of the status too."""
_NARROWEST_WITH_BAR = 32
"""Cells beside name and status below which figures get all of them."""
_LEAST_FIGURES = 22
"""As much as `80/240, rate limit 3 s` needs where the screen is narrow."""
_MOST_FIGURES = 96
"""As much as all that is known of a task needs."""
_LONGEST_NAME = 32
_FIRST_SHOWN = (Status.RUNNING, Status.FAILED, Status.PARTIAL, Status.STOPPED, Status.CANCELLED, Status.PENDING, Status.SUCCEEDED)


def render_frame(
    tasks: Sequence[TaskState], now: float, width: int, height: int = 24, groups: Sequence[tuple[str, FailureGroup]] = ()
) -> RenderableType:
    """Return what items failed by, a row for each task, and one for all where there are several.

    It has at most `height` lines of `width` cells. Where the tasks do not fit, those that run come first, then those that went wrong,
    and a line counts the others. `now` is seconds of the monotonic clock.
    """
    shown_groups = groups[: min(MOST_GROUPS, max(height - len(tasks) - 1, height // 4))]
    lines: list[RenderableType] = [_group_line(task if len(tasks) > 1 else "", group, width) for task, group in shown_groups]
    room = height - len(lines) - (len(tasks) > 1)
    shown, folded = _fitting(tasks, room)
    names = name_width(tasks, width)
    lines += [render_row(task, now, width, names) for task in shown]
    if folded and room > 0:
        lines.append(Text(count_more(folded), style="dim", no_wrap=True, overflow="ellipsis"))
    if len(tasks) > 1:
        lines.append(render_total(tasks, now, width, names))
    return Group(*lines)


def _group_line(task: str, group: FailureGroup, width: int) -> Text:
    return Text(line_text(render_group(group, width, task)), style=STYLES[Status.PARTIAL], no_wrap=True, overflow="ellipsis")


def _fitting(tasks: Sequence[TaskState], room: int) -> tuple[list[TaskState], list[TaskState]]:
    if len(tasks) <= room:
        return list(tasks), []
    wanted = sorted(tasks, key=lambda task: _FIRST_SHOWN.index(task.status))
    return wanted[: max(room - 1, 0)], wanted[max(room - 1, 0) :]


def count_more(tasks: Sequence[TaskState]) -> str:
    """Return how many tasks there are besides those that are drawn, by their status."""
    statuses = Counter(task.status for task in tasks)
    return f"and {len(tasks):,} more: " + ", ".join(f"{number:,} {status.value}" for status, number in statuses.items())


def name_width(tasks: Sequence[TaskState], width: int) -> int:
    """Return how many cells the names get: what the longest needs, a third of the line at most."""
    longest = max((cell_len(printable(task.name)) for task in tasks), default=0)
    return max(min(longest, _LONGEST_NAME, width // 3), min(5, width // 3), 1)


def render_row(task: TaskState, now: float, width: int, names: int) -> RenderableType:
    """Return the row of one task: name, status, bar, figures. `names` is the width of the column of names.

    The bar takes what the figures leave. A narrow screen loses it first, since the same is in the figures, then the figures that matter
    least; none is cut in two.
    """
    # A Text is never read as markup, so a name such as "[red]" stays what it is.
    name, style = Text(printable(task.name)), STYLES[task.status]
    room = width - names - _STATUS_WIDTH - 2
    if room < _NARROWEST_WITH_STATUS:
        room = max(width - names - 1, 1)
        said = render_figures(task, now, room) if task.status is Status.RUNNING else task.status.value
        return _cells((name, names), (Text(said, style=style), room))
    status = (Text(task.status.value, style=style), _STATUS_WIDTH)
    bar = _bar_width(room)
    figures = Text(render_figures(task, now, room - bar - 1 if bar else room))
    return _cells((name, names), status, *([(_bar(task, now, bar), bar)] if bar else []), (figures, room - bar - 1 if bar else room))


def render_total(tasks: Sequence[TaskState], now: float, width: int, names: int) -> RenderableType:
    """Return the row of all tasks together: how many have ended, how far they are on the whole, and the sums of their figures."""
    ended = [task for task in tasks if task.ended is not None]
    worst = next(status for status in (*_FIRST_SHOWN[1:], Status.RUNNING) if any(task.status is status for task in tasks))
    style = STYLES[worst if len(ended) == len(tasks) else Status.RUNNING]
    room = width - names - _STATUS_WIDTH - 2
    name = Text("total", style="bold")
    said = f"{len(ended):,} of {len(tasks):,}"
    if room < _NARROWEST_WITH_STATUS:
        return _cells((name, names), (Text(said, style=style), max(width - names - 1, 1)))
    bar = _bar_width(room)
    share = sum(1.0 if task.ended is not None else task.share or 0.0 for task in tasks) / len(tasks)
    drawn = [(_filled(share, bar, style), bar)] if bar else []
    rest = room - bar - 1 if bar else room
    return _cells((name, names), (Text(said, style=style), _STATUS_WIDTH), *drawn, (Text(_kept(_sums(tasks, now), rest)), rest))


def _cells(*cells: tuple[RenderableType, int]) -> Table:
    row = Table.grid(padding=(0, 1), pad_edge=False)
    for _, size in cells:
        row.add_column(width=max(size, 1), no_wrap=True, overflow="ellipsis")
    row.add_row(*(cell for cell, _ in cells))
    return row


def _bar_width(room: int) -> int:
    """Return the cells of a bar: two fifths of the room, and on a wide screen all that the figures do not need; 0 where there is none."""
    if room < _NARROWEST_WITH_BAR:
        return 0
    return max(min(room * 2 // 5, room - _LEAST_FIGURES - 1), room - _MOST_FIGURES - 1)


def _bar(task: TaskState, now: float, width: int) -> ProgressBar:
    style = STYLES[task.status]
    if task.status is Status.RUNNING and task.total is None:
        return ProgressBar(total=None, width=width, animation_time=now, style=_EMPTY, pulse_style=style)
    if task.share is not None:
        return _filled(task.share, width, style)
    return _filled(float(task.status is Status.SUCCEEDED or (task.total is None and task.done > 0)), width, style)


def _filled(share: float, width: int, style: str) -> ProgressBar:
    return ProgressBar(total=1.0, completed=share, width=width, style=_EMPTY, complete_style=style, finished_style=style)


def render_figures(task: TaskState, now: float, room: int) -> str:
    """Return what is known of a task, in the order of reading; where the room is short, what matters least is left out."""
    return "" if task.status is Status.PENDING else _kept(_known(task, now, room), room)


def _kept(figures: dict[str, int], room: int) -> str:
    """Return figures in the order of reading; where the room is short, what matters least (the highest rank) is left out."""
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
    figures = {done: 0} | _ended_so(task.counts)
    figures |= {} if rate is None or task.ended is not None else {render_rate(rate): 5}
    figures |= dict.fromkeys(render_usage(task.usage), 7)
    figures |= {} if left is None else {f"{duration(left)} left": 4}
    figures |= {} if task.ended is None else {duration(task.seconds(now)): 1}
    if task.waiting:
        long = f"waiting for {printable(task.waiting)}"
        figures |= {long: 2} if cell_len(f"{done}, {long}") <= room else {printable(task.waiting): -1}
    return figures | ({} if not task.reason else {printable(task.reason): 2})


def _sums(tasks: Sequence[TaskState], now: float) -> dict[str, int]:
    """Return what is known of all tasks together, as `_known` does of one."""
    counts = sum((task.counts for task in tasks), Counts())
    usage = sum((task.usage for task in tasks), Usage())
    totals = [task.total for task in tasks]
    done = sum(task.done for task in tasks)
    known = sum(total for total in totals if total is not None)
    figures = {counted(done, "item") if None in totals else f"{done:,}/{known:,}": 0} | _ended_so(counts)
    figures |= dict.fromkeys(render_usage(usage), 5)
    begun = [task.started for task in tasks if task.started is not None]
    if begun:
        end = now if any(task.ended is None for task in tasks) else max(task.ended for task in tasks if task.ended is not None)
        figures[duration(end - min(begun))] = 1
    left = [task.left(now) for task in tasks if task.ended is None]
    if left and None not in left:
        figures[f"{duration(max(seconds for seconds in left if seconds is not None))} left"] = 2
    return figures


def _ended_so(counts: Counts) -> dict[str, int]:
    return {f"{number:,} {word}": rank for word, rank in (("failed", 3), ("cached", 6)) if (number := getattr(counts, word))}
