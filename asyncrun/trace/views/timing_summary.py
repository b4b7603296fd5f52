"""The timing summary: seconds per job and per event type, and what was waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from asyncrun.humanize import duration
from asyncrun.trace.run_record import Span
from asyncrun.trace.span_tree import SHORTEST_WAIT, WAITS, Timing, build_forest, number_of, timings_by_job, timings_by_type
from asyncrun.trace.views.styled_text import Style, StyledLine, StyledPart, StyledText, Word, fit, stack
from asyncrun.trace.views.table import Column, render_table, table_fits

NARROWEST_LABEL = 8
NARROW = 40
"""Columns below which the title of the brief summary may be cut."""
BRIEF_TITLE = "Timing summary"
MANY = 10
"""From this many events of one kind on, their median says more than the list of them."""

_Cells = tuple[str, Callable[[Timing], Word]]
"""A column: its header, and what it says of one timing."""


def render_summary(spans: Sequence[Span], width: int) -> StyledText:
    """Return two tables, no line wider than `width`: jobs by their start, event types by their total.

    `total` sums durations (what ran at the same time counts each time), `self` leaves out the time of children. The waits
    of a job are those of all its batches; a wait that nobody had gets no column. Medians come last: they are the first to go.
    Where the waits do not fit beside them, they get tables of their own.
    """
    forest = build_forest(spans)
    jobs, types = timings_by_job(forest), timings_by_type(forest)
    waits = [name for name in WAITS if any(timing.waits[name] >= SHORTEST_WAIT for timing in (*jobs, *types))]
    tables = [
        table for title, timings in (("job", jobs), ("event type", types)) if timings for table in _tables(title, timings, waits, width)
    ]
    if not tables:
        return StyledText((fit(width, "No events were recorded."),))
    head = StyledText((fit(width, StyledPart("Timing summary", Style.TITLE)),))
    return stack(head, stack(*tables, StyledText(tuple(_slept(spans, width))), gap=1))


def render_brief_summary(spans: Sequence[Span], width: int) -> StyledText:
    """Return one table, no line wider than `width`: event types by their total, a batch as one thing.

    Where it does not fit, percentiles are left out first, then the waits of fewest seconds.
    """
    timings = timings_by_type(build_forest(spans, details=False))
    if not timings:
        return StyledText((fit(width, "No events were recorded."),))
    sums = {name: sum(timing.waits[name] for timing in timings) for name in WAITS}
    waited = [name for name in WAITS if any(timing.waits[name] >= SHORTEST_WAIT for timing in timings)]
    cells = [*_times(timings), *map(_waited, waited), *_medians(timings)]
    layout, rows = _table(BRIEF_TITLE, timings, cells)
    # Columns give way by their worth: a wait by its seconds, percentiles before any of them, and `count` and `total` last.
    worths = {"total": 4e12, "count": 3e12, "failed": 2e12, "self": 1e12} | sums | {"p50": -1, "p95": -2, "max": -3}
    title = replace(layout[0], least=NARROWEST_LABEL if width < NARROW else len(BRIEF_TITLE))
    layout = [title, *(replace(column, worth=worths[column.header]) for column in layout[1:])]
    return StyledText((*render_table(layout, rows, width), *_slept(spans, width)))


def _slept(spans: Sequence[Span], width: int) -> list[StyledLine]:
    suspended = sum(number_of(span, "suspended") for span in spans)
    words = f"suspended: {duration(suspended)} by the wall clock, which are part of no other number"
    return [fit(width, StyledPart(words, Style.ODD))] if suspended else []


def _tables(title: str, timings: Sequence[Timing], waits: Sequence[str], width: int) -> list[StyledText]:
    times, waited, medians = _times(timings), [_waited(name) for name in waits], _medians(timings)
    if table_fits(*_table(title, timings, [*times, *waited]), width):
        return [_rendered(title, timings, [*times, *waited, *medians], width)]
    idle = [timing for timing in timings if all(timing.waits[name] < SHORTEST_WAIT for name in waits)]
    waiting = [timing for timing in timings if timing not in idle]
    tables = [_rendered(title, timings, [*times, *medians], width)]
    return [*tables, *(_rendered(title, waiting, cells, width) for cells in _fitting(title, waiting, waited, width))]


def _fitting(title: str, timings: Sequence[Timing], cells: Sequence[_Cells], width: int) -> list[Sequence[_Cells]]:
    """Return the columns in as many parts as are needed for each to fit."""
    if not timings:
        return []
    if len(cells) < 2 or table_fits(*_table(title, timings, cells), width):
        return [cells]
    half = (len(cells) + 1) // 2
    return [part for side in (cells[:half], cells[half:]) for part in _fitting(title, timings, side, width)]


def _times(timings: Sequence[Timing]) -> list[_Cells]:
    cells: list[_Cells] = [
        ("count", lambda timing: str(timing.count)),
        ("total", lambda timing: duration(timing.total)),
        ("self", lambda timing: duration(timing.own)),
    ]
    if any(timing.failed for timing in timings):
        cells.append(("failed", lambda timing: StyledPart(str(timing.failed), Style.BAD if timing.failed else Style.PLAIN)))
    return cells


def _waited(name: str) -> _Cells:
    return name, lambda timing: duration(timing.waits[name])


def _medians(timings: Sequence[Timing]) -> list[_Cells]:
    if not any(timing.count >= MANY for timing in timings):
        return []
    return [
        ("p50", lambda timing: duration(timing.percentiles.p50)),
        ("p95", lambda timing: duration(timing.percentiles.p95)),
        ("max", lambda timing: duration(timing.percentiles.most)),
    ]


def _table(title: str, timings: Sequence[Timing], cells: Sequence[_Cells]) -> tuple[list[Column], list[list[Word]]]:
    layout = [Column(title, "<", NARROWEST_LABEL), *(Column(name) for name, _ in cells)]
    return layout, [[timing.label, *(cell(timing) for _, cell in cells)] for timing in timings]


def _rendered(title: str, timings: Sequence[Timing], cells: Sequence[_Cells], width: int) -> StyledText:
    return StyledText(tuple(render_table(*_table(title, timings, cells), width)))
