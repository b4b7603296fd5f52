"""The slowest events, each with what it waited for, and those that failed, each with the reason that it gives."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from asyncrun.humanize import counted, duration
from asyncrun.trace.attributes import texts_in
from asyncrun.trace.run_record import UNFINISHED, RunRecord, Span
from asyncrun.trace.span_tree import DETAILS, SHORTEST_WAIT, WAITS, SpanNode, build_forest, number_of
from asyncrun.trace.views.styled_text import Style, StyledLine, StyledPart, StyledText, Word, fit, one_line, shorten, style_of
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
    workers = any("worker" in node.span.attributes for node, _ in found)
    layout = [Column("event", "<", 8), Column("time"), Column("at"), Column("job", "<", 8), Column("status", "<")]
    layout += [Column("worker", "<", 8)] if workers else []
    layout += [Column(name, worth=sum(waited[name])) for name in waits] + ([Column("retries")] if retries else [])
    rows: list[list[Word]] = [
        [
            node.span.title,
            *(duration(node.own_seconds), duration(node.span.start - begin)),
            job or "-",
            _status(node.span),
            *([one_line(str(node.span.attributes.get("worker", "-")))] if workers else []),
            *(duration(number_of(node.span, f"waits.{name}")) for name in waits),
            *([f"{number_of(node.span, 'retries'):.0f}"] if retries else []),
        ]
        for node, job in found
    ]
    title = f"The {len(found)} slowest of {_events(spans)} events (time without what is inside of them)"
    return StyledText((fit(width, StyledPart(title, Style.TITLE)), *render_table(layout, rows, width)))


def _status(span: Span) -> StyledPart:
    status = UNFINISHED if span.end is None else span.status
    return StyledPart(shorten(one_line(status), LONGEST_STATUS), style_of(status))


def _events(spans: Sequence[Span]) -> str:
    return f"{sum(max(round(number_of(span, 'folded.count')), 1) for span in spans if span.type not in DETAILS):,}"


MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class FailedEvent:
    """Events that failed: where, `count` of them, and why as far as it is known; `at` is in seconds since the first event."""

    span: Span
    at: float
    path: tuple[str, ...]
    count: int
    kind: str
    message: str

    @property
    def texts(self) -> list[str]:
        """Return the texts that the first of them was about, where the trace has them."""
        return texts_in(self.span.attributes)


def failures_of(run: RunRecord, spans: Sequence[Span]) -> list[FailedEvent]:
    """Return what failed, by its start; what failed at the same place for the same reason is one.

    A job's reason is that of the run's summary, another event's is the exception that left it.
    """
    reasons = _job_reasons(run.summary)
    begin = min((span.start for span in spans), default=0.0)
    found: dict[tuple[tuple[str, ...], str, str], FailedEvent] = {}
    waiting: list[tuple[SpanNode, tuple[str, ...]]] = [(node, ()) for node in reversed(build_forest(spans, details=False))]
    while waiting:
        node, above = waiting.pop()
        path = (*above, node.span.title)
        if node.failed:
            kind, message = (str(node.span.attributes.get(f"error.{part}", "")) for part in ("type", "message"))
            if not (kind or message) and not above:
                message = reasons.get(node.span.name, "")
            same = found.get((path, kind, message))
            count = node.failed + (same.count if same else 0)
            first = same.span if same else node.span
            found[path, kind, message] = FailedEvent(first, first.start - begin, path, count, kind, message)
        waiting.extend((child, path) for child in reversed(node.children))
    return sorted(found.values(), key=lambda failure: failure.span.id)


def render_errors(run: RunRecord, spans: Sequence[Span], width: int) -> StyledText:
    """Return the events that failed, no line wider than `width`; when there are none, one line says so."""
    found = failures_of(run, spans)
    items = _failed_items(spans)
    more = f"{items:,} {'item failed by itself' if items == 1 else 'items failed by themselves'}: see `asyncrun failed`" if items else ""
    if not found:
        words = "; ".join(part for part in (f"No event of run {one_line(run.run_id)} failed", more) if part) + "."
        return StyledText(tuple(fit(width, line) for line in _wrapped(words, max(width, 1))))
    total = sum(failure.count for failure in found)
    lines: list[StyledLine] = [fit(width, StyledPart(f"{counted(total, 'event')} of run {one_line(run.run_id)} failed", Style.TITLE))]
    for failure in found[:MOST_SHOWN]:
        times = f"{failure.count:,} times, first " if failure.count > 1 else ""
        lines.append(fit(width, f"{times}at {duration(failure.at)}: {one_line(' > '.join(failure.path))}"))
        lines.extend(fit(width, "    ", StyledPart(words, Style.BAD)) for words in _wrapped(_reason(failure), max(width - 4, 1)))
        lines.extend(fit(width, f"    text: {one_line(text)}") for text in failure.texts)
    if len(found) > MOST_SHOWN:
        lines.append(fit(width, f"and {len(found) - MOST_SHOWN:,} more, in `asyncrun trace errors --json`"))
    return StyledText((*lines, *([fit(width, more + ".")] if more else [])))


def _reason(failure: FailedEvent) -> str:
    return one_line(": ".join(part for part in (failure.kind, failure.message) if part)) or "no reason is recorded"


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, max_lines=4, placeholder="…") if width > 1 else [text]


def _job_reasons(summary: Mapping[str, Any]) -> dict[str, str]:
    jobs = summary.get("jobs")
    entries = [job for job in jobs if isinstance(job, Mapping)] if isinstance(jobs, list) else []
    return {str(job.get("name")): str(job["reason"]) for job in entries if job.get("reason")}


def _failed_items(spans: Sequence[Span]) -> int:
    # The jobs know: what fails before it is sent is in no request.
    return round(sum(number_of(span, "failed") for span in spans if span.parent is None))
