"""The table of recorded runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from asyncrun.trace.records import RunRecord
from asyncrun.trace.views.styled import Part, Styled, Word, fit, style_of
from asyncrun.trace.views.table import Column, render_table
from asyncrun.trace.views.text import seconds

_LAYOUT = (
    Column("run", "<"),
    Column("status", "<"),
    Column("exit"),
    Column("seconds"),
    Column("started (UTC)", "<"),
    Column("job file", "<", 8, keeps_end=True),
)


def render_runs(runs: Sequence[RunRecord], width: int, now: float) -> Styled:
    """Return a line for each run, the latest first, no line wider than `width`. `now` (seconds since 1970) tells live runs."""
    if not runs:
        return Styled((fit(width, "No runs are recorded yet."),))
    rows: list[list[Word]] = [
        [
            *(run.run_id, Part(run.status_at(now) + (", partial trace" if run.lost else ""), style_of(run.status_at(now)))),
            "-" if run.exit_code is None else str(run.exit_code),
            "-" if run.seconds is None else seconds(run.seconds),
            f"{datetime.fromtimestamp(run.started, UTC):%Y-%m-%d %H:%M:%S}",
            run.job_file or "-",
        ]
        for run in reversed(runs)
    ]
    return Styled(tuple(render_table(_LAYOUT, rows, width)))
