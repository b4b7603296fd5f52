"""The table of recorded runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from asyncrun.humanize import dollars, duration
from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.views.styled_text import StyledPart, StyledText, Word, fit, local_time, style_of
from asyncrun.trace.views.table import Column, render_table

_LAYOUT = (
    Column("run", "<"),
    Column("status", "<"),
    Column("exit", worth=1),
    Column("time"),
    Column("items", worth=3),
    Column("cost", worth=2),
    Column("started", "<"),
    Column("job file", "<", 8, keeps_end=True),
)


def render_runs(runs: Sequence[RunRecord], width: int, now: float, zone: tzinfo | None = None, *, is_filtered: bool = False) -> StyledText:
    """Return a line for each run, the latest first, no line wider than `width`. `now` (seconds since 1970) tells live runs.

    `zone` is that of the times, None for the machine's own. `is_filtered` says that there may be other runs.
    """
    if not runs:
        return StyledText((fit(width, "No run matches." if is_filtered else "No runs are recorded yet."),))
    rows: list[list[Word]] = [
        [
            *(run.run_id, StyledPart(run.status_at(now) + (", partial trace" if run.lost else ""), style_of(run.status_at(now)))),
            "-" if run.exit_code is None else str(run.exit_code),
            "-" if run.seconds is None else duration(run.seconds),
            f"{items:,}" if isinstance(items := run.summary.get("items"), int) else "-",
            dollars(cost) if isinstance(cost := run.summary.get("cost"), int | float) else "-",
            local_time(run.started, zone),
            run.job_file or "-",
        ]
        for run in reversed(runs)
    ]
    return StyledText(tuple(render_table(_LAYOUT, rows, width)))
