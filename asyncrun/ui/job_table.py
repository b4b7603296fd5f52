"""The jobs of a run that has ended, a row each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asyncrun.humanize import dollars, duration
from asyncrun.results import JobResult, Status
from asyncrun.trace.views.styled_text import Style, StyledPart, StyledText, Word, fit, style_of
from asyncrun.trace.views.styled_text import columns as columns_of
from asyncrun.trace.views.table import Column, render_table

MOST_JOBS = 20
"""Rows of jobs at the end of a run; of more jobs those are shown that went wrong, and the others counted."""


@dataclass(frozen=True, slots=True)
class _JobColumn:
    """A column of the table of jobs; where the table does not fit, that of the lowest `worth` is left out first."""

    name: str
    worth: float
    cell: Callable[[JobResult], Word]
    has: Callable[[JobResult], bool] = lambda job: True


def _number(name: str, style: Style = Style.PLAIN) -> tuple[Callable[[JobResult], Word], Callable[[JobResult], bool]]:
    """Return what writes a counter of a job, and what tells whether it has any."""

    def cell(job: JobResult) -> Word:
        number = getattr(job.counts, name)
        return StyledPart(f"{number:,}", style if number else Style.PLAIN)

    return cell, lambda job: getattr(job.counts, name) > 0


_JOB_COLUMNS = (
    _JobColumn("ok", 7, _number("ok")[0]),
    _JobColumn("failed", 9, _number("failed", Style.BAD)[0]),
    _JobColumn("skipped", 2, *_number("skipped")),
    _JobColumn("cached", 4, _number("cached")[0]),
    _JobColumn("truncated", 1, *_number("truncated")),
    _JobColumn("removed", 1, *_number("removed")),
    _JobColumn("tokens", 3, lambda job: f"{job.usage.tokens:,}", lambda job: job.usage.tokens > 0),
    _JobColumn("cost", 5, lambda job: "-" if job.usage.cost is None else dollars(job.usage.cost), lambda job: bool(job.usage.cost)),
    _JobColumn("time", 8, lambda job: duration(job.seconds)),
    _JobColumn("bound by", 0, lambda job: job.bound_by or "-", lambda job: job.bound_by is not None),
)


def render_jobs(jobs: Sequence[JobResult], width: int) -> StyledText:
    """Return a table with a row for each job, no line wider than `width`; of very many those that went wrong, and the others counted.

    Columns in which no job has anything are left out.
    """
    ranked = sorted(jobs, key=lambda job: job.status is Status.SUCCEEDED) if len(jobs) > MOST_JOBS else jobs
    shown, left = ranked[:MOST_JOBS], Counter(job.status.value for job in ranked[MOST_JOBS:])
    columns = [column for column in _JOB_COLUMNS if any(column.has(job) for job in jobs)]
    rows: list[list[Word]] = [
        [job.name, StyledPart(job.status.value, style_of(job.status.value)), *(column.cell(job) for column in columns)] for job in shown
    ]
    longest = max((columns_of(job.name) for job in shown), default=0)
    layout = [
        Column("job", "<", max(min(longest, width // 3), 8)),
        Column("status", "<"),
        *(Column(column.name, worth=column.worth) for column in columns),
    ]
    lines = render_table(layout, rows, width)
    words = ", ".join(f"{number:,} {status}" for status, number in left.items())
    return StyledText((*lines, *([fit(width, f"and {left.total():,} more: {words}")] if left else [])))
