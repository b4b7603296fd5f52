"""Recorded runs: which is meant by the words of a command, read with its spans, and written for another tool."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from asyncrun.callbacks.schema import CBEventType
from asyncrun.clock import SystemClock
from asyncrun.errors import UnknownRunError
from asyncrun.escape import printable
from asyncrun.state_folder import TRACES
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.store import TraceStore
from asyncrun.writers.atomic import AtomicFile

if TYPE_CHECKING:
    from asyncrun.trace.exporters import Exporter

_LATEST = re.compile(r"latest(?:~(\d{1,9}))?")


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


def export_trace(state: Path, words: str, form: str) -> tuple[str, str]:
    """Return the id of one run, and the run as a text in the form of another tool, which an exporter has the name of.

    Raises UsageError for a form that nobody offers, UnknownRunError and StorageError.
    """
    from asyncrun import registry

    export: Exporter = registry.load("exporters", form)
    run, spans = read_trace(state, words)
    exported = export(run, spans, SystemClock().now())
    return run.run_id, exported if isinstance(exported, str) else orjson.dumps(exported).decode()


def export_page(state: Path, words: str, folder: Path | None = None) -> tuple[str, str]:
    """Return the id of one run, and the run as a page of HTML that stands alone.

    In a `folder` it links to the pages of earlier runs that are there, each named after its run. Raises UnknownRunError and StorageError.
    """
    from asyncrun.trace.page.html import render_page

    def link(run_id: str) -> str | None:
        name = page_name(run_id)
        return name if folder is not None and name is not None and (folder / name).is_file() else None

    run_id, document = page_of(state, words, link)
    return run_id, render_page(document)


def page_name(run_id: str) -> str | None:
    """Return the name of the file that is the page of a run; None where the id could lead out of a folder.

    >>> page_name("20261128-085722-0370"), page_name("../x")
    ('20261128-085722-0370.html', None)
    """
    return f"{run_id}.html" if re.fullmatch(r"[\w-]+", run_id, re.ASCII) else None


def page_path(state: Path, words: str, target: Path) -> Path:
    """Return where the page of one run is written: the target itself, or in a folder a file that is named after the run.

    Raises UnknownRunError and StorageError.
    """
    if not target.is_dir():
        return target
    with TraceStore(state / TRACES, read_only=True) as store:
        return target / (page_name(find_run(store.runs(), words).run_id) or "run.html")


def page_of(state: Path, words: str, link: Callable[[str], str | None] = lambda _: None) -> tuple[str, dict[str, Any]]:
    """Return the id of one run, and what its page shows, with what is known of the runs of the same job file before it.

    `link` is the address of another run's page, None where there is none. Raises UnknownRunError and StorageError.
    """
    from asyncrun.trace.page.document import Earlier, page_document

    with TraceStore(state / TRACES, read_only=True) as store:
        runs = store.runs()
        run = find_run(runs, words)
        before = runs_before(runs, run)
        earlier = Earlier(before, store.spans(before[-1].run_id) if before else (), link)
        return run.run_id, page_document(run, store.spans(run.run_id), SystemClock().now(), earlier)


def write_trace(path: Path, text: str) -> None:
    """Write an export to a file, whole or not at all. Raises OutputError and StorageError."""
    file = AtomicFile(path)
    try:
        file.write(text.encode() + b"\n")
        file.commit()
    finally:
        file.abort()


def _read_traces(state: Path, choose: Callable[[Sequence[RunRecord]], Sequence[RunRecord]]) -> list[tuple[RunRecord, list[Span]]]:
    with TraceStore(state / TRACES, read_only=True) as store:
        return [(run, store.spans(run.run_id)) for run in choose(store.runs())]


def _run_before(runs: Sequence[RunRecord], after: RunRecord) -> RunRecord:
    """Return the run before this one, of the same job file."""
    same = runs_before(runs, after)
    if not same:
        raise UnknownRunError(
            f"there is nothing to compare {after.run_id} with: no earlier run of {after.job_file or 'its job file'} is recorded",
            hint="Name two runs: asyncrun trace diff A B. `asyncrun trace list` shows them.",
        )
    return same[-1]


def runs_before(runs: Sequence[RunRecord], after: RunRecord) -> list[RunRecord]:
    """Return the runs before this one of the same job file, whatever path led to it; the earliest first."""
    earlier = runs[: next(index for index, run in enumerate(runs) if run.run_id == after.run_id)]
    ours = Path(after.job_file or "")
    # Of thousands of runs nearly all have the same path.
    same = {file: _is_same_file(Path(file or ""), ours) for file in {run.job_file for run in earlier}}
    return [run for run in earlier if same[run.job_file]]


def _is_same_file(one: Path, other: Path) -> bool:
    """Tell whether two runs were of the same job file: a path that is not from the root is one beside the state folder."""
    if one.name != other.name:
        return False
    return not (one.is_absolute() and other.is_absolute()) or one.parent.resolve() == other.parent.resolve()


def find_run(runs: Sequence[RunRecord], words: str = "latest") -> RunRecord:
    """Return the run that is meant; `runs` are ordered from the earliest, `latest~1` is the one before the latest.

    Raises UnknownRunError, which names the nearest runs.
    """
    shown = printable(words, 60)
    if not runs:
        raise UnknownRunError("no run is recorded yet", hint="Run `asyncrun run` first.")
    match = _LATEST.fullmatch(words)
    if match:
        back = int(match[1] or 0)
        if back >= len(runs):
            raise UnknownRunError(f"{shown} is before the first run: {_count(len(runs))} recorded, the earliest is {runs[0].run_id}")
        return runs[-1 - back]
    exact = [run for run in runs if run.run_id == words]
    found = exact or [run for run in runs if words and run.run_id.startswith(words)]
    if len(found) > 1:
        raise UnknownRunError(f"{shown} is the beginning of {len(found)} runs: {_some([run.run_id for run in found[::-1]])}")
    if not found:
        raise UnknownRunError(f"no run {shown!r}; the nearest: {_some(_nearest([run.run_id for run in runs], words))}")
    return found[0]


def jobs_in(summary: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the jobs that a run's summary tells of; none as long as no end is recorded.

    >>> jobs_in({"jobs": [{"name": "notes", "status": "succeeded"}]})
    frozenset({'notes'})
    """
    jobs = summary.get("jobs")
    return frozenset(str(job.get("name")) for job in (jobs if isinstance(jobs, list) else ()) if isinstance(job, Mapping))


def job_names(spans: Iterable[Span]) -> frozenset[str]:
    """Return the names of the jobs that have begun."""
    return frozenset(span.name for span in spans if span.parent is None and span.type == CBEventType.ASYNC_JOB.value)


def _nearest(ids: Sequence[str], words: str) -> list[str]:
    latest_first = list(ids[::-1])
    return difflib.get_close_matches(words, latest_first, 3, 0.5) or latest_first[:3]


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return ", ".join(ids[:5]) + more


def _count(number: int) -> str:
    return "1 run is" if number == 1 else f"{number} runs are"
