"""A run as one page that stands alone: tree, timeline and waits, with nothing loaded from anywhere."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

from asyncrun.duration import duration
from asyncrun.escape import printable
from asyncrun.trace.exporters.pagedata import page_data
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import WAITS, Node, Timing, build_forest, timings_by_job, timings_by_type

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


def _data(forest: Sequence[Node], began: float) -> str:
    text = json.dumps(page_data(forest, began), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # No text can end the script element, or begin a comment in it.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _head(run: RunRecord, now: float) -> str:
    status = run.status_at(now)
    took = "" if run.seconds is None else f"took {duration(run.seconds)}, "
    code = "" if run.exit_code is None else f"exit code {run.exit_code}, "
    facts = f"{took}{code}started {_time(run.started)}, asyncrun {run.version} on {run.host}, {run.job_file or 'no job file'}"
    badge = "badge" if status in ("succeeded", "running") else "badge failed"
    lines = [f'<h1>Run {_text(run.run_id)} <span class="{badge}">{_text(status)}</span></h1>', f'<p class="facts">{_text(facts)}</p>']
    if run.ended is None:
        lines.append(f'<p class="warning">No end is recorded; the last sign of life was at {_time(run.seen)}.</p>')
    if run.lost:
        lines.append(f'<p class="warning">This trace is partial: {run.lost} spans could not be written.</p>')
    return "\n".join(lines)


def _tables(forest: Sequence[Node]) -> str:
    jobs, types = timings_by_job(forest)[:MOST_JOBS], timings_by_type(forest)
    waits = [name for name in WAITS if any(timing.waits[name] >= 0.0005 for timing in (*jobs, *types))]
    tables = [_table(title, timings, waits) for title, timings in (("Job", jobs), ("Event type", types)) if timings]
    return "\n".join(tables) or "<p>No events were recorded.</p>"


def _table(title: str, timings: Sequence[Timing], waits: Sequence[str]) -> str:
    names = [title, "count", "failed", "total", "self", *waits, "p50", "p95", "max"]
    lines = ["<tr>" + "".join(f'<th scope="col">{_text(name)}</th>' for name in names) + "</tr>"]
    for timing in timings:
        spread = timing.spread
        took = [timing.total, timing.own, *(timing.waits[name] for name in waits), spread.p50, spread.p95, spread.most]
        cells = [str(timing.count), str(timing.failed), *map(duration, took)]
        lines.append(f'<tr><th scope="row">{_text(timing.label)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    caption = "A job's waits are those of all below it" if title == "Job" else "Waits are what the events themselves waited for"
    head, *body = lines
    parts = [f"<caption>{_text(caption)}</caption>", f"<thead>{head}</thead>", "<tbody>", *body, "</tbody>"]
    label = f'tabindex="0" role="group" aria-label="{_text(title)}s"'
    return f'<div class="scroll" {label}><table>' + "\n".join(parts) + "</table></div>"


def _text(text: str) -> str:
    return escape(printable(text))


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
