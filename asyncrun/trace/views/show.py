"""One run as a whole: what it was, its trace map, its timing summary, and its critical path."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from asyncrun.trace.records import RunRecord, Span
from asyncrun.trace.views.path import render_path
from asyncrun.trace.views.summary import render_summary
from asyncrun.trace.views.text import clean, seconds, shorten
from asyncrun.trace.views.tree import render_tree


def render_show(run: RunRecord, spans: Sequence[Span], width: int, now: float) -> str:
    """Return the picture of a run, no line wider than `width`. `now` (seconds since 1970) tells a live run from a dead one."""
    took = "" if run.seconds is None else f" in {seconds(run.seconds)} s"
    code = "" if run.exit_code is None else f", exit code {run.exit_code}"
    head = [
        f"Run {clean(run.run_id)}: {clean(run.status_at(now))}{took}{code}",
        f"started {_time(run.started)}, asyncrun {clean(run.version)} on {clean(run.host)}, {clean(run.job_file or 'no job file')}",
    ]
    if run.ended is None:
        head.append(f"no end is recorded; the last sign of life was at {_time(run.seen)}")
    if run.lost:
        head.append(f"this trace is partial: {run.lost} spans could not be written")
    lines = "\n".join(shorten(line, width) for line in head)
    parts = [f"{lines}\n{render_tree(spans, width)}\n{render_summary(spans, width)}", render_path(spans, width)]
    return "\n\n".join(part for part in parts if part)


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
