"""The table of recorded runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from asyncrun.trace.records import RunRecord
from asyncrun.trace.views.table import Column, render_table
from asyncrun.trace.views.text import seconds, shorten

_LAYOUT = (
    Column("run", "<"),
    Column("status", "<"),
    Column("exit"),
    Column("seconds"),
    Column("started (UTC)", "<"),
    Column("job file", "<", 8),
)


def render_runs(runs: Sequence[RunRecord], width: int, now: float) -> str:
    """Return a line for each run, the latest first, no line wider than `width`. `now` (seconds since 1970) tells live runs."""
    if not runs:
        return shorten("No runs are recorded yet.", width)
    rows = [
        [
            *(run.run_id, run.status_at(now) + (", partial trace" if run.lost else "")),
            "-" if run.exit_code is None else str(run.exit_code),
            "-" if run.seconds is None else seconds(run.seconds),
            f"{datetime.fromtimestamp(run.started, UTC):%Y-%m-%d %H:%M:%S}",
            run.job_file or "-",
        ]
        for run in reversed(runs)
    ]
    return "\n".join(render_table(_LAYOUT, rows, width))
