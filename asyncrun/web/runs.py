"""The runs of a state folder as documents for a browser: a part of the list, and one run. The folder is only read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncrun.errors import UnknownRunError
from asyncrun.humanize import dollars
from asyncrun.sqlite_files import LOG_ENDINGS
from asyncrun.state_folder import TRACES
from asyncrun.trace.page.document import MOST_EARLIER, Earlier, page_document
from asyncrun.trace.run_record import RUNNING, RunRecord
from asyncrun.trace.store import TraceStore
from asyncrun.trace.trace_json import iso, shown_values

ROWS = 50
"""Runs in one part of the list."""
NO_FILE = "no job file"

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A document, and whether it will change by itself because a run in it goes on."""

    document: Mapping[str, Any]
    goes_on: bool


class RunReader:
    """Reads the runs of a state folder. Not for several threads at once.

    Args:
        state: the folder; it need not exist yet.
        now: seconds since 1970.
    """

    def __init__(self, state: Path, now: Callable[[], float]) -> None:
        self._state = state
        self._path = state / TRACES
        self._now = now
        self._counted: tuple[object, dict[str | None, int]] = (None, {})

    def stamp(self) -> Stamp:
        """Return what changes whenever a run is written: looked up without opening anything, many times a second."""
        return tuple(_stat(self._path.with_name(TRACES + end)) for end in ("", *LOG_ENDINGS[:1]))

    def listed(self, page: int, file: str = "") -> Shown:
        """Return a part of the list, the latest runs first: `{folder, page, pages, first, total, files: [{name, runs}], runs: [...]}`.

        `page` counts from 1, one that is past the last is the last. `file` is a job file as `files` names it, empty for all. Raises
        StorageError.
        """
        with TraceStore(self._path, read_only=True) as store:
            counts = self._counts(store)
            names = {recorded: self._name(recorded) for recorded in counts}
            chosen = [recorded for recorded, name in names.items() if name == file] if file else None
            total = sum(number for recorded, number in counts.items() if chosen is None or recorded in chosen)
            pages = max(-(-total // ROWS), 1)
            page = min(max(page, 1), pages)
            runs = store.latest(ROWS, (page - 1) * ROWS, job_files=chosen)
        now = self._now()
        files: dict[str, int] = {}
        for recorded, name in names.items():
            files[name] = files.get(name, 0) + counts[recorded]
        document = {
            **{"folder": str(self._state.absolute().parent), "page": page, "pages": pages, "first": (page - 1) * ROWS + 1, "total": total},
            "files": [{"name": name, "runs": number} for name, number in sorted(files.items())],
            "runs": [_row(run, self._name(run.job_file), now) for run in runs],
        }
        return Shown(shown_values(document), any(run.status_at(now) == RUNNING for run in runs))

    def run(self, run_id: str) -> Shown:
        """Return what the page of a run shows. Raises UnknownRunError and StorageError."""
        now = self._now()
        with TraceStore(self._path, read_only=True) as store:
            run = store.run(run_id)
            if run is None:
                raise UnknownRunError(f"no run {run_id!r}")
            name = self._name(run.job_file)
            same = [recorded for recorded in self._counts(store) if self._name(recorded) == name]
            before = store.latest(MOST_EARLIER, job_files=same, before=run_id)[::-1]
            goes_on = run.status_at(now) == RUNNING
            # What has not ended yet compares with nothing.
            spans = store.spans(before[-1].run_id) if before and not goes_on else ()
            document = page_document(run, store.spans(run_id), now, Earlier(before, spans, lambda other: other))
        return Shown({**document, "goes_on": goes_on}, goes_on)

    def _counts(self, store: TraceStore) -> dict[str | None, int]:
        ends = store.ends()
        if self._counted[0] != ends:
            self._counted = ends, store.counts()
        return self._counted[1]

    def _name(self, recorded: str | None) -> str:
        """Return a job file as people know it: without the folder where that is the state folder's own."""
        if not recorded:
            return NO_FILE
        path = Path(recorded)
        return path.name if path.parent in (Path(), self._state.absolute().parent) else recorded


def _row(run: RunRecord, file: str, now: float) -> dict[str, Any]:
    status, told = run.status_at(now), run.summary
    jobs = told.get("jobs")
    cost = told.get("cost")
    until = run.seconds if run.seconds is not None else max((now if status == RUNNING else run.seen) - run.started, 0.0)
    return {
        "run_id": run.run_id,
        "status": status,
        "share": told.get("share") if run.ended is None else None,
        **{name: told.get(name) for name in ("items", "ok", "failed", "cached")},
        "total": _total(jobs if isinstance(jobs, list) else ()),
        # A run that goes on is told by the second.
        "seconds": float(int(until)) if status == RUNNING else until,
        "cost": dollars(cost) if isinstance(cost, int | float) else None,
        "started": iso(run.started),
        "file": file,
    }


def _total(jobs: Sequence[Any]) -> int | None:
    """Return how many items all jobs have, None while one does not know."""
    totals = [job.get("total") for job in jobs if isinstance(job, Mapping)]
    known = [total for total in totals if isinstance(total, int)]
    return sum(known) if known and len(known) == len(totals) else None


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # Who only reads leaves an empty log behind: nothing was written.
    return (found.st_ino, found.st_size, found.st_mtime_ns) if found.st_size else None
