"""The views of recorded runs beside the trace map: timeline, slowest events, failures, and two runs compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asyncrun.app.recorded_runs import read_trace, read_traces
from asyncrun.clock import SystemClock
from asyncrun.errors import UnknownRunError
from asyncrun.trace.json_documents import diff_document, errors_document, slow_document, timeline_document
from asyncrun.trace.run_lookup import find_run
from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.views.diff import Recorded, render_diff
from asyncrun.trace.views.errors import render_errors
from asyncrun.trace.views.slow import render_slow
from asyncrun.trace.views.styled_text import StyledText
from asyncrun.trace.views.timeline import render_timeline


def render_trace_timeline(state: Path, words: str, width: int) -> StyledText:
    """Return what each job of a run had open over time. Raises UnknownRunError and StorageError, as all of these do."""
    return render_timeline(read_trace(state, words)[1], width)


def describe_trace_timeline(state: Path, words: str) -> dict[str, Any]:
    """Return the timeline of a run as a JSON document."""
    return timeline_document(*read_trace(state, words))


def render_trace_slow(state: Path, words: str, count: int, width: int) -> StyledText:
    """Return the slowest events of a run."""
    return render_slow(read_trace(state, words)[1], width, count)


def describe_trace_slow(state: Path, words: str, count: int) -> dict[str, Any]:
    """Return the slowest events of a run as a JSON document."""
    return slow_document(*read_trace(state, words), count)


def render_trace_errors(state: Path, words: str, width: int) -> StyledText:
    """Return what failed in a run."""
    return render_errors(*read_trace(state, words), width)


def describe_trace_errors(state: Path, words: str) -> dict[str, Any]:
    """Return what failed in a run as a JSON document."""
    return errors_document(*read_trace(state, words))


def render_trace_diff(state: Path, first: str | None, second: str | None, width: int) -> StyledText:
    """Return what changed between two runs."""
    return render_diff(*_pair(state, first, second), width, SystemClock().now())


def describe_trace_diff(state: Path, first: str | None, second: str | None) -> dict[str, Any]:
    """Return what changed between two runs as a JSON document."""
    return diff_document(*_pair(state, first, second))


def _pair(state: Path, first: str | None, second: str | None) -> tuple[Recorded, Recorded]:
    def choose(runs: Sequence[RunRecord]) -> tuple[RunRecord, RunRecord]:
        after = find_run(runs, second or "latest")
        return (find_run(runs, first) if first else _before(runs, after)), after

    before, after = read_traces(state, choose)
    return before, after


def _before(runs: Sequence[RunRecord], after: RunRecord) -> RunRecord:
    """Return the run before this one, of the same job file, whatever path led to it."""
    earlier = runs[: next(index for index, run in enumerate(runs) if run.run_id == after.run_id)]
    same = [run for run in earlier if _same_file(Path(run.job_file or ""), Path(after.job_file or ""))]
    if not same:
        raise UnknownRunError(
            f"there is nothing to compare {after.run_id} with: no earlier run of {after.job_file or 'its job file'} is recorded",
            hint="Name two runs: asyncrun trace diff A B. `asyncrun trace list` shows them.",
        )
    return same[-1]


def _same_file(one: Path, other: Path) -> bool:
    """Tell whether two runs were of the same job file: a path that is not from the root is one beside the state folder."""
    if one.name != other.name:
        return False
    return not (one.is_absolute() and other.is_absolute()) or one.parent.resolve() == other.parent.resolve()
