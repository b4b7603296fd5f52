"""The slowest events, each with what it waited for."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from asyncrun.humanize import duration
from asyncrun.trace.run_record import UNFINISHED, Span
from asyncrun.trace.span_tree import DETAILS, SHORTEST_WAIT, WAITS, SpanNode, build_forest, number_of
from asyncrun.trace.views.styled_text import Style, StyledPart, StyledText, Word, clean, fit, shorten, style_of
from asyncrun.trace.views.table import Column, render_table

LONGEST_STATUS = 12


def slowest(spans: Sequence[Span], count: int) -> list[tuple[SpanNode, str]]:
    """Return the `count` events that took longest by themselves, without what is inside of them, each with its outermost job's name."""
    found: list[tuple[SpanNode, str]] = []
    waiting = [(node, "") for node in build_forest(spans, details=False)]
    while waiting:
        node, job = waiting.pop()
        if not node.folded:
            found.append((node, job))
        waiting.extend((child, job or node.label) for child in node.children)
    return heapq.nsmallest(count, found, key=lambda pair: (-pair[0].own_seconds, pair[0].span.id))


def render_slow(spans: Sequence[Span], width: int, count: int = 10) -> StyledText:
    """Return a table of the slowest events, no line wider than `width`; `at` is when they started, in seconds since the first event."""
    if not spans:
        return StyledText((fit(width, "No events were recorded."),))
    found = slowest(spans, count)
    begin = min(span.start for span in spans)
    waited = {name: [number_of(node.span, f"waits.{name}") for node, _ in found] for name in WAITS}
    waits = [name for name in WAITS if max(waited[name], default=0.0) >= SHORTEST_WAIT]
    retries = any(number_of(node.span, "retries") for node, _ in found)
    layout = [Column("event", "<", 8), Column("time"), Column("at"), Column("job", "<", 8), Column("status", "<")]
    layout += [Column(name, worth=sum(waited[name])) for name in waits] + ([Column("retries")] if retries else [])
    rows: list[list[Word]] = [
        [
            node.span.title,
            *(duration(node.own_seconds), duration(node.span.start - begin)),
            job or "-",
            _status(node.span),
            *(duration(number_of(node.span, f"waits.{name}")) for name in waits),
            *([f"{number_of(node.span, 'retries'):.0f}"] if retries else []),
        ]
        for node, job in found
    ]
    title = f"The {len(found)} slowest of {_events(spans)} events (time without what is inside of them)"
    return StyledText((fit(width, StyledPart(title, Style.TITLE)), *render_table(layout, rows, width)))


def _status(span: Span) -> StyledPart:
    status = UNFINISHED if span.end is None else span.status
    return StyledPart(shorten(clean(status), LONGEST_STATUS), style_of(status))


def _events(spans: Sequence[Span]) -> str:
    return f"{sum(max(round(number_of(span, 'folded.count')), 1) for span in spans if span.type not in DETAILS):,}"
