"""One run as a whole: what it was, its trace map, its timing summary, and its critical path."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from asyncrun.duration import duration
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.views.path import render_path
from asyncrun.trace.views.styled_text import Part, Style, Styled, fit, stack, style_of
from asyncrun.trace.views.summary import render_summary
from asyncrun.trace.views.text import clean
from asyncrun.trace.views.tree import render_tree

MOST_LINES = 100
"""Lines of a trace map at the end of a run."""


def render_show(run: RunRecord, spans: Sequence[Span], width: int, now: float) -> Styled:
    """Return the picture of a run, no line wider than `width`. `now` (seconds since 1970) tells a live run from a dead one."""
    took = "" if run.seconds is None else f" in {duration(run.seconds)}"
    code = "" if run.exit_code is None else f", exit code {run.exit_code}"
    status = run.status_at(now)
    origin = f"started {_time(run.started)}, asyncrun {run.version} on {run.host}, {run.job_file or 'no job file'}"
    head = [
        fit(width, Part(f"Run {clean(run.run_id)}", Style.TITLE), ": ", Part(clean(status), style_of(status)), f"{took}{code}"),
        fit(width, clean(origin)),
    ]
    shown = stack(Styled(tuple(head)), _gaps(run, width), render_tree(spans, width), render_summary(spans, width))
    return stack(shown, render_path(spans, width), gap=1)


def render_end(run: RunRecord, spans: Sequence[Span], width: int) -> Styled:
    """Return the trace map and the timing summary of a run that has just ended, and what the trace lacks; no line wider than `width`.

    The map has `MOST_LINES` at most where the run has no more jobs; `render_show` has it whole.
    """
    return stack(stack(render_tree(spans, width, MOST_LINES), _gaps(run, width)), render_summary(spans, width), gap=1)


def _gaps(run: RunRecord, width: int) -> Styled:
    """Return what is known to be missing."""
    lines = []
    if run.ended is None:
        lines.append(f"no end is recorded; the last sign of life was at {_time(run.seen)}")
    if run.lost:
        lines.append(f"this trace is partial: {run.lost} spans could not be written")
    return Styled(tuple(fit(width, Part(words, Style.ODD)) for words in lines))


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
