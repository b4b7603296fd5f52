"""How a run ended, in one sentence, and where its time went: what a person wants to know before anything else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncrun.humanize import counted, duration
from asyncrun.results import WorkerUse
from asyncrun.trace.critical_path import PathPart
from asyncrun.trace.run_record import RUNNING, UNFINISHED, RunRecord

_WAITED_FOR: Mapping[str, str] = {
    "queue": "waiting for a free slot",
    "rate": "waiting for the rate limit",
    "gate": "waiting as the endpoint asked",
    "backoff": "waiting to try again",
    "ship": "on the way to workers and back",
    "connect": "making connections",
    "request": "requests",
    "compute": "the model at work",
    "decode": "reading replies",
    "store": "the store",
    "write": "writing to the disk",
    "batches": "waiting for batches",
}
"""What seconds on the critical path were spent on, as the end of a sentence reads."""


LEAST_SHARE = 0.05
"""Of a run's time that is worth a word."""
MUCH_SHIPPED = 0.2
"""Of a run's time from which on it is worth doing something about it that work is on its way."""
_LESS_SHIPPED = f"{_WAITED_FOR['ship']} (larger batches, or `--executor local`, make it less)"


@dataclass(frozen=True, slots=True)
class TimeSink:
    """What took a large part of a run's critical path: a share of it from 0 to 1, what it was, and the job (empty: none)."""

    share: float
    what: str
    job: str

    def __str__(self) -> str:
        return f"{self.share:.0%} {self.what}" + (f" in {self.job}" if self.job else "")


def verdict(run: RunRecord, now: float) -> str:
    """Return how a run ended, as a sentence without its full stop; `now` (seconds since 1970) tells a live run from a dead one.

    >>> verdict(RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, summary={"items": 9, "ok": 9, "cached": 0}), 5.0)
    'All 9 items done in 2 s'
    """
    status = run.status_at(now)
    if status == RUNNING:
        return f"Running for {duration(max(now - run.started, 0.0))}{_so_far(run.summary)}"
    if status == UNFINISHED:
        return f"No end is recorded: killed, or cut off, after {duration(max(run.seen - run.started, 0.0))}{_so_far(run.summary)}"
    took = "" if run.seconds is None else f" in {duration(run.seconds)}"
    items, ok, failed, skipped = (_count(run.summary, name) for name in ("items", "ok", "failed", "skipped"))
    if status == "succeeded":
        return _success(items, ok, skipped, _count(run.summary, "cached")) + took
    # Of a run that has not come to its end the others are not counted.
    done = f"{ok:,} of {counted(items, 'item')} done" if status == "partial" else f"{counted(ok, 'item')} done"
    parts = [done, *([f"{failed:,} failed"] if failed else []), *([f"{skipped:,} skipped"] if skipped else [])]
    if status == "partial":
        return ", ".join(parts) + took
    job = next((job for job in jobs_of(run.summary) if job.get("status") == status and job.get("reason")), {})
    name = f" {job['name']}:" if job.get("name") else ""
    told = f":{name} {str(job['reason']).rstrip('.')}" if job else ""
    return f"{status.capitalize()}{took.replace(' in ', ' after ')}{told}" + (f"; {', '.join(parts)}" if items else "")


def _so_far(summary: Mapping[str, Any]) -> str:
    items, failed = _count(summary, "items"), _count(summary, "failed")
    if not items:
        return ""
    totals = [job.get("total") for job in jobs_of(summary)]
    known = sum(total for total in totals if isinstance(total, int))
    # A job that has not begun yet does not know how many it has.
    ended = f"{items:,} of {counted(known, 'item')}" if None not in totals and known >= items else counted(items, "item")
    return f": {ended} ended" + (f", {failed:,} failed" if failed else "")


def _success(items: int, ok: int, skipped: int, cached: int) -> str:
    left_out = f", {skipped:,} skipped" if skipped else ""
    if not items:
        return "Nothing to do"
    if cached == ok:
        return f"Nothing to do: {counted(ok, 'item')} unchanged{left_out}"
    if ok < items:
        return f"{ok:,} of {counted(items, 'item')} done{left_out}"
    return f"All {counted(items, 'item')} done" if items > 1 else "1 item done"


def time_sinks(parts: Sequence[PathPart], most: int = 3) -> tuple[TimeSink, ...]:
    """Return what took most of the time from the first start to the last end, given all parts of its critical path; the most first."""
    total = sum(part.seconds for part in parts)
    sums: Counter[tuple[str, str]] = Counter()
    for part in parts:
        sums.update({(what, part.job): seconds for what, seconds in _spent(part).items()})
    large = [(what, job, seconds / total) for (what, job), seconds in sums.most_common(most) if seconds > LEAST_SHARE * total]
    return tuple(TimeSink(min(share, 1.0), _advised(what, share), job) for what, job, share in large)


def _advised(what: str, share: float) -> str:
    return _LESS_SHIPPED if what == _WAITED_FOR["ship"] and share >= MUCH_SHIPPED else what


def where_time_went(sinks: Sequence[TimeSink]) -> str:
    """Return what took most of the time as words, empty when nothing is known of it; one job that all of it was in is named once.

    >>> where_time_went([TimeSink(0.5, "requests", "notes"), TimeSink(0.25, "the store", "notes")])
    'in notes: 50% requests, 25% the store'
    """
    jobs = {sink.job for sink in sinks}
    if len(sinks) > 1 and len(jobs) == 1 and "" not in jobs:
        return f"in {sinks[0].job}: " + ", ".join(f"{sink.share:.0%} {sink.what}" for sink in sinks)
    return ", ".join(map(str, sinks))


def _spent(part: PathPart) -> dict[str, float]:
    """Return the seconds of a part of the path by what they were spent on; what no wait explains is the event itself."""
    told = {name: seconds for name, seconds in part.waits.items() if seconds > 0}
    if "compute" in told:
        told["compute"] += told.pop("queue", 0.0)  # Who waits for a thread waits for the processor.
    left = max(part.seconds - sum(told.values()), 0.0)
    what = "its own work" if part.event in ("itself", "async_job") else part.event
    return {**{_WAITED_FOR.get(name, name): seconds for name, seconds in told.items()}, what: left}


def jobs_of(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the jobs that a run's summary tells of; none as long as no end is recorded.

    >>> jobs_of({"jobs": [{"name": "notes"}]}), jobs_of({})
    ([{'name': 'notes'}], [])
    """
    jobs = summary.get("jobs")
    return [job for job in jobs if isinstance(job, Mapping)] if isinstance(jobs, list) else []


def workers_of(summary: Mapping[str, Any]) -> list[WorkerUse]:
    """Return what a run's summary tells of the workers of an executor; none of a run in one process, or as long as no end is recorded.

    >>> workers_of({"workers": [{"name": "pid 7", "calls": 2, "seconds": 1.5, "ship": 0.25}]})
    [WorkerUse(name='pid 7', calls=2, seconds=1.5, ship=0.25)]
    """
    told = summary.get("workers")
    rows = [row for row in told if isinstance(row, Mapping)] if isinstance(told, list) else []
    return [WorkerUse(str(row.get("name", "")), _count(row, "calls"), _seconds(row, "seconds"), _seconds(row, "ship")) for row in rows]


def _seconds(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _count(summary: Mapping[str, Any], name: str) -> int:
    value = summary.get(name)
    return value if isinstance(value, int) else 0
