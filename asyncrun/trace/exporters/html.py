"""A run as one page that stands alone: tree, timeline and waits, with nothing loaded from anywhere."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from heapq import heappop, heappush
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple

from asyncrun.escape import printable
from asyncrun.humanize import duration
from asyncrun.trace.run_record import MICROSECONDS, UNFINISHED, RunRecord, Span
from asyncrun.trace.span_tree import (
    SHORTEST_WAIT,
    WAITS,
    SpanNode,
    Timing,
    build_forest,
    lanes_of,
    percentiles_of_nodes,
    timings_by_job,
    timings_by_type,
    walk,
)
from asyncrun.trace.views.folded_tree import alike_groups
from asyncrun.trace.views.styled_text import utc_time

MOST_JOBS = 1000
"""Jobs that get a line of their own in the table of waits."""


def render_html(run: RunRecord, spans: Sequence[Span], now: float) -> str:
    """Return the page of a run; `spans` are ordered by id, `now` (seconds since 1970) tells a live run from a dead one.

    Its Content-Security-Policy allows the page's own style and script, by their hashes, and nothing else.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here")
    >>> render_html(run, [], now=5.0).splitlines()[0]
    '<!doctype html>'
    """
    style, script, forest = _part("page.css"), _part("page.js"), build_forest(spans)
    return (
        Template(_part("page.html"))
        .substitute(
            policy=escape(_policy(style, script)),
            title=_text(f"Run {run.run_id}"),
            style=style,
            script=script,
            head=_head(run, now),
            tables=_tables(forest),
            data=_data(forest, run.started),
        )
        .rstrip()
    )


def _part(name: str) -> str:
    return (files("asyncrun.trace.exporters") / "page" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    hashes = [f"'sha256-{b64encode(sha256(part.encode()).digest()).decode()}'" for part in (style, script)]
    return f"default-src 'none'; style-src {hashes[0]}; script-src {hashes[1]}; base-uri 'none'; form-action 'none'"


def _data(forest: Sequence[SpanNode], began: float) -> str:
    text = json.dumps(page_data(forest, began), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # No text can end the script element, or begin a comment in it.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _head(run: RunRecord, now: float) -> str:
    status = run.status_at(now)
    took = "" if run.seconds is None else f"took {duration(run.seconds)}, "
    code = "" if run.exit_code is None else f"exit code {run.exit_code}, "
    facts = f"{took}{code}started {utc_time(run.started)}, asyncrun {run.version} on {run.host}, {run.job_file or 'no job file'}"
    badge = "badge" if status in ("succeeded", "running") else "badge failed"
    lines = [f'<h1>Run {_text(run.run_id)} <span class="{badge}">{_text(status)}</span></h1>', f'<p class="facts">{_text(facts)}</p>']
    if run.ended is None:
        lines.append(f'<p class="warning">No end is recorded; the last sign of life was at {utc_time(run.seen)}.</p>')
    if run.lost:
        lines.append(f'<p class="warning">This trace is partial: {run.lost} spans could not be written.</p>')
    return "\n".join(lines)


def _tables(forest: Sequence[SpanNode]) -> str:
    jobs, types = timings_by_job(forest)[:MOST_JOBS], timings_by_type(forest)
    waits = [name for name in WAITS if any(timing.waits[name] >= SHORTEST_WAIT for timing in (*jobs, *types))]
    tables = [_table(title, timings, waits) for title, timings in (("Job", jobs), ("Event type", types)) if timings]
    return "\n".join(tables) or "<p>No events were recorded.</p>"


def _table(title: str, timings: Sequence[Timing], waits: Sequence[str]) -> str:
    names = [title, "count", "failed", "total", "self", *waits, "p50", "p95", "max"]
    lines = ["<tr>" + "".join(f'<th scope="col">{_text(name)}</th>' for name in names) + "</tr>"]
    for timing in timings:
        percentiles = timing.percentiles
        took = [timing.total, timing.own, *(timing.waits[name] for name in waits), percentiles.p50, percentiles.p95, percentiles.most]
        cells = [str(timing.count), str(timing.failed), *map(duration, took)]
        lines.append(f'<tr><th scope="row">{_text(timing.label)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    caption = "A job's waits are those of all below it" if title == "Job" else "Waits are what the events themselves waited for"
    head, *body = lines
    parts = [f"<caption>{_text(caption)}</caption>", f"<thead>{head}</thead>", "<tbody>", *body, "</tbody>"]
    label = f'tabindex="0" role="group" aria-label="{_text(title)}s"'
    return f'<div class="scroll" {label}><table>' + "\n".join(parts) + "</table></div>"


def _text(text: str) -> str:
    return escape(printable(text))


class PageRow(NamedTuple):
    """One line of the tree: an event, or many that are alike; times are microseconds since the run's start.

    `kind`, `name` and `status` are places in the list of texts. `track` is the event's track in the timeline, -1 for none.
    `percentiles` (p50, p95, max) is there only for many events.
    """

    level: int
    kind: int
    name: int
    status: int
    start: int
    end: int
    seconds: int
    own: int
    events: int
    failed: int
    track: int
    percentiles: tuple[int, int, int] | None
    attributes: dict[str, Any] | None


class _Texts:
    """Texts by number, each once, control characters written out."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(printable(text), len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


def page_data(forest: Sequence[SpanNode], began: float) -> dict[str, Any]:
    """Return `{texts, rows, lanes, length}`; `began` is the run's start in seconds since 1970.

    A lane is a job: its name, its first track and how many tracks it has. Bars on one track do not overlap.

    >>> from asyncrun.trace.span_tree import build_forest
    >>> from asyncrun.trace.run_record import Span
    >>> data = page_data(build_forest([Span("r", 1, None, "query", "", 0.5, 1.0, "succeeded")]), began=0.0)
    >>> data["texts"], data["length"], data["lanes"]
    (['others', 'query', '', 'succeeded'], 1000000, [{'name': 0, 'first': 0, 'tracks': 1}])
    """
    texts = _Texts()
    tracks: dict[int, int] = {}
    lanes = []
    first = 0
    for name, heads in lanes_of(forest).items():
        count = _place(heads, first, tracks)
        lanes.append({"name": texts.number(name), "first": first, "tracks": count})
        first += count
    rows = list(_rows(forest, tracks, texts, began))
    return {"texts": texts.all(), "rows": rows, "lanes": lanes, "length": max((row.end for row in rows), default=0)}


def _place(heads: Iterable[SpanNode], first: int, tracks: dict[int, int]) -> int:
    """Give each event the lowest track that is free when it starts, and return how many tracks that took."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    count = 0
    # A parent's id is smaller than its children's, so it lies above them.
    for node in sorted(walk(heads), key=lambda node: (node.span.start, node.span.id)):
        while busy and busy[0][0] <= node.span.start:
            heappush(free, heappop(busy)[1])
        if not free:
            heappush(free, first + count)
            count += 1
        tracks[node.span.id] = heappop(free)
        heappush(busy, (node.end, tracks[node.span.id]))
    return count


def _rows(forest: Sequence[SpanNode], tracks: Mapping[int, int], texts: _Texts, began: float) -> Iterable[PageRow]:
    waiting = [(group, 0) for group in reversed(alike_groups(forest))]
    while waiting:
        group, level = waiting.pop()
        yield _row(group, level, tracks, texts, began)
        below = [[node] for node in group] if len(group) > 1 else alike_groups(group[0].children)
        waiting.extend((inner, level + 1) for inner in reversed(below))


def _row(group: Sequence[SpanNode], level: int, tracks: Mapping[int, int], texts: _Texts, began: float) -> PageRow:
    span, alone = group[0].span, len(group) == 1
    name = span.name if all(node.span.name == span.name for node in group) else ""
    status = UNFINISHED if any(node.span.end is None for node in group) else span.status if alone else ""
    percentiles = percentiles_of_nodes(group) if not alone or group[0].folded else None
    return PageRow(
        level,
        texts.number(span.type),
        texts.number(name),
        texts.number(status),
        _micros(min(node.span.start for node in group) - began),
        _micros(max(node.end for node in group) - began),
        _micros(sum(node.seconds for node in group)),
        _micros(sum(node.own_seconds for node in group)),
        sum(node.count for node in group),
        sum(node.failed for node in group),
        tracks.get(span.id, -1) if alone else -1,
        None if percentiles is None else (_micros(percentiles.p50), _micros(percentiles.p95), _micros(percentiles.most)),
        ({printable(key): _shown(value) for key, value in span.attributes.items()} or None) if alone else None,
    )


def _micros(seconds: float) -> int:
    return round(seconds * MICROSECONDS)


def _shown(value: object) -> object:
    # JSON has no word for a number without an end.
    finite = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if finite else printable(str(value))
