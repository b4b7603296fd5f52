"""A look at recorded runs: which are meant, and read with their spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from asyncrun.errors import UnknownRunError
from asyncrun.paths import TRACES
from asyncrun.trace.run_lookup import find_run, job_names, jobs_in
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.store import TraceStore


def read_trace(state: Path, words: str) -> tuple[RunRecord, list[Span]]:
    """Return the run that is meant, with its spans. Raises UnknownRunError and StorageError, as all of these do."""
    [found] = _read_traces(state, lambda runs: [find_run(runs, words)])
    return found


def read_two_traces(state: Path, first: str | None, second: str | None) -> list[tuple[RunRecord, list[Span]]]:
    """Return two runs to be compared, the earlier first: by default the latest, and the one before of the same job file."""

    def choose(runs: Sequence[RunRecord]) -> list[RunRecord]:
        after = find_run(runs, second or "latest")
        return [find_run(runs, first) if first else _run_before(runs, after), after]

    return _read_traces(state, choose)


def select_runs(
    state: Path, now: float, *, job: str | None = None, status: str | None = None, since: float | None = None
) -> list[RunRecord]:
    """Return the runs with this job, with this status at `now`, begun in the last `since` seconds; the earliest first."""
    with TraceStore(state / TRACES, read_only=True) as store:
        runs = [run for run in store.runs() if status in (None, run.status_at(now)) and (since is None or run.started >= now - since)]
        return [run for run in runs if job is None or job in (jobs_in(run.summary) or job_names(store.spans(run.run_id)))]


def _read_traces(state: Path, choose: Callable[[Sequence[RunRecord]], Sequence[RunRecord]]) -> list[tuple[RunRecord, list[Span]]]:
    with TraceStore(state / TRACES, read_only=True) as store:
        return [(run, store.spans(run.run_id)) for run in choose(store.runs())]


def _run_before(runs: Sequence[RunRecord], after: RunRecord) -> RunRecord:
    """Return the run before this one, of the same job file, whatever path led to it."""
    earlier = runs[: next(index for index, run in enumerate(runs) if run.run_id == after.run_id)]
    same = [run for run in earlier if _is_same_file(Path(run.job_file or ""), Path(after.job_file or ""))]
    if not same:
        raise UnknownRunError(
            f"there is nothing to compare {after.run_id} with: no earlier run of {after.job_file or 'its job file'} is recorded",
            hint="Name two runs: asyncrun trace diff A B. `asyncrun trace list` shows them.",
        )
    return same[-1]


def _is_same_file(one: Path, other: Path) -> bool:
    """Tell whether two runs were of the same job file: a path that is not from the root is one beside the state folder."""
    if one.name != other.name:
        return False
    return not (one.is_absolute() and other.is_absolute()) or one.parent.resolve() == other.parent.resolve()
