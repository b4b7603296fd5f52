"""A look at recorded runs: which traces are meant, read and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from asyncrun.clock import SystemClock
from asyncrun.paths import TRACES
from asyncrun.trace.json_documents import runs_document, trace_document
from asyncrun.trace.run_lookup import find_run, job_names, jobs_in
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.store import TraceStore
from asyncrun.trace.views.runs import render_runs
from asyncrun.trace.views.show import render_end, render_show
from asyncrun.trace.views.styled_text import StyledText, fit


def read_trace(state: Path, words: str) -> tuple[RunRecord, list[Span]]:
    """Return the run that is meant, with its spans. Raises UnknownRunError and StorageError."""
    [found] = read_traces(state, lambda runs: (find_run(runs, words),))
    return found


def read_traces(state: Path, choose: Callable[[Sequence[RunRecord]], Sequence[RunRecord]]) -> list[tuple[RunRecord, list[Span]]]:
    """Return the runs that are chosen out of all, each with its spans. Raises UnknownRunError and StorageError."""
    with TraceStore(state / TRACES, read_only=True) as store:
        return [(run, store.spans(run.run_id)) for run in choose(store.runs())]


def render_trace(state: Path, words: str, width: int) -> StyledText:
    """Return the trace map and the timing summary of one run, with its head. Raises UnknownRunError and StorageError."""
    return render_show(*read_trace(state, words), width, SystemClock().now())


def render_end_of_run(state: Path, run_id: str, width: int) -> StyledText:
    """Return the trace map and the timing summary of the run that has just ended. Raises UnknownRunError when none was recorded."""
    return render_end(*read_trace(state, run_id), width)


def describe_trace(state: Path, words: str) -> dict[str, Any]:
    """Return one run with its spans as a JSON document. Raises UnknownRunError and StorageError."""
    return trace_document(*read_trace(state, words), SystemClock().now())


def render_trace_list(
    state: Path, width: int, *, job: str | None = None, status: str | None = None, since: float | None = None
) -> StyledText:
    """Return the table of recorded runs: those with this job, with this status, begun in the last `since` seconds."""
    now = SystemClock().now()
    runs = _selected(state, now, job, status, since)
    if not runs and (job, status, since) != (None, None, None):
        return StyledText((fit(width, "No run matches."),))
    return render_runs(runs, width, now)


def describe_trace_list(state: Path, *, job: str | None = None, status: str | None = None, since: float | None = None) -> dict[str, Any]:
    """Return the same runs as a JSON document."""
    now = SystemClock().now()
    return runs_document(_selected(state, now, job, status, since), now)


def _selected(state: Path, now: float, job: str | None, status: str | None, since: float | None) -> list[RunRecord]:
    with TraceStore(state / TRACES, read_only=True) as store:
        runs = [run for run in store.runs() if status in (None, run.status_at(now)) and (since is None or run.started >= now - since)]
        return [run for run in runs if job is None or job in (jobs_in(run.summary) or job_names(store.spans(run.run_id)))]
