"""The timing summary: seconds per job and per event type, and what was waited for."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.trace.analysis import WAITS, Timing, timings_by_job, timings_by_type
from asyncrun.trace.records import Span
from asyncrun.trace.views.table import Column, render_table
from asyncrun.trace.views.text import seconds, shorten

NARROWEST_LABEL = 8
MANY = 10
"""From this many events of one kind on, their median says more than the list of them."""


def render_summary(spans: Sequence[Span], width: int) -> str:
    """Return two tables in seconds, no line wider than `width`: jobs by their start, event types by their total.

    `total` sums durations (what ran at the same time counts each time), `self` leaves out the time of children. The waits
    of a job are those of all its batches; a wait that nobody had gets no column. Medians come last: they are the first to go.
    """
    jobs, types = timings_by_job(spans), timings_by_type(spans)
    waits = [name for name in WAITS if any(timing.waits[name] >= 0.0005 for timing in (*jobs, *types))]
    tables = [_table(title, timings, waits, width) for title, timings in (("job", jobs), ("event type", types)) if timings]
    if not tables:
        return shorten("No events were recorded.", width)
    return "\n".join([shorten("Timing summary (seconds)", width), "\n\n".join(tables)])


def _table(title: str, timings: Sequence[Timing], waits: Sequence[str], width: int) -> str:
    failed = any(timing.failed for timing in timings)
    layout = [Column(title, "<", NARROWEST_LABEL), Column("count"), Column("total"), Column("self")]
    layout += [Column("failed")] if failed else []
    layout += [Column(name) for name in waits]
    many = any(timing.count >= MANY for timing in timings)
    layout += [Column("p50"), Column("p95"), Column("max")] if many else []
    rows = [
        [
            timing.label,
            *(str(timing.count), seconds(timing.total), seconds(timing.own)),
            *([str(timing.failed)] if failed else []),
            *(seconds(timing.waits[name]) for name in waits),
            *(seconds(value) for value in (timing.spread.p50, timing.spread.p95, timing.spread.most) if many),
        ]
        for timing in timings
    ]
    return "\n".join(render_table(layout, rows, width))
