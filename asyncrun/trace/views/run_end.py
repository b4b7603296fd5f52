"""The trace of a run that has just ended: its trace map, what is missing in it, and its timing summary."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.views.folded_tree import MOST_LINES, render_brief_tree, render_tree
from asyncrun.trace.views.styled_text import Style, StyledPart, StyledText, fit, stack, utc_time
from asyncrun.trace.views.timing_summary import render_brief_summary, render_summary


def render_end(run: RunRecord, spans: Sequence[Span], width: int, *, whole: bool = False) -> StyledText:
    """Return the trace map and the timing summary of a run that has just ended, and what the trace lacks; no line wider than `width`.

    They are short ones; `whole` ones have up to `MOST_LINES` events and the times of each job.
    """
    if not whole:
        return stack(render_brief_tree(spans, width), render_gaps(run, width), render_brief_summary(spans, width))
    return stack(stack(render_tree(spans, width, MOST_LINES), render_gaps(run, width)), render_summary(spans, width), gap=1)


def render_gaps(run: RunRecord, width: int) -> StyledText:
    """Return what is known to be missing."""
    lines = []
    if run.ended is None:
        lines.append(f"no end is recorded; the last sign of life was at {utc_time(run.seen)}")
    if run.lost:
        lines.append(f"this trace is partial: {run.lost} spans could not be written")
    return StyledText(tuple(fit(width, StyledPart(words, Style.ODD)) for words in lines))
