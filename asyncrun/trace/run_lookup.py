"""Which run is meant: an id, a unique prefix of one, `latest` or `latest~N`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asyncrun.callbacks.schema import CBEventType
from asyncrun.errors import UnknownRunError
from asyncrun.escape import printable
from asyncrun.trace.run_record import RunRecord, Span

_LATEST = re.compile(r"latest(?:~(\d{1,9}))?")


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
