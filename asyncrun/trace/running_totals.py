"""What a run that goes on has done so far, in the words of its summary: a trace has it while there is no end yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncrun.ports import Progress
from asyncrun.results import Counts, JobResult, Status
from asyncrun.usage import Usage

MOST_JOBS = 100
"""Jobs of which each is told; of the others only the sums are, because it is written twice a second."""
_SUMMED = ("items", "ok", "failed", "skipped", "cached", "requests", "retries", "tokens")


@dataclass(slots=True)
class _Job:
    status: Status = Status.PENDING
    total: int | None = None
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    cached: int = 0
    requests: int = 0
    retries: int = 0
    tokens: int = 0
    cost: float | None = None

    @property
    def items(self) -> int:
        return self.ok + self.failed + self.skipped

    @property
    def share(self) -> float:
        """Return how much of the job is done, from 0 to 1, as far as that is known."""
        if self.status not in (Status.PENDING, Status.RUNNING):
            return 1.0
        return min(self.items / self.total, 1.0) if self.total else 0.0


class RunningTotals(Progress):
    """Adds up what a run tells of its items and requests. Another thread may ask for the sums at any time.

    >>> totals = RunningTotals()
    >>> totals.run_started("r", ["notes"]); totals.task_started("notes", 8)
    >>> totals.advance("notes", Counts(items=2, ok=2))
    >>> totals.summary()["items"], totals.summary()["share"]
    (2, 0.25)
    """

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Note the jobs that a run has."""
        self._jobs = {name: _Job() for name in tasks}

    def task_started(self, task: str, total: int | None) -> None:
        """Note that a job knows how many items it has."""
        job = self._of(task)
        job.status, job.total = Status.RUNNING, total

    def advance(self, task: str, counts: Counts) -> None:
        """Add items that have ended."""
        job = self._of(task)
        job.ok += counts.ok
        job.failed += counts.failed
        job.skipped += counts.skipped
        job.cached += counts.cached

    def use(self, task: str, usage: Usage) -> None:
        """Add what requests used."""
        job = self._of(task)
        job.requests += usage.requests
        job.retries += usage.retries
        job.tokens += usage.tokens
        if usage.cost is not None:
            job.cost = usage.cost + (job.cost or 0.0)

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Note how a job has ended."""
        job = self._of(task)
        job.status = Status.SUCCEEDED if result is None else result.status
        if result is not None:
            counts = result.counts
            job.ok, job.failed, job.skipped, job.cached = counts.ok, counts.failed, counts.skipped, counts.cached
            self._set_usage(job, result.usage)

    def summary(self) -> dict[str, Any]:
        """Return the sums and each job under the names of a run's summary; nothing before it has begun.

        Also `share`, how much of the run is done from 0 to 1, every job counting the same, and of a job `total`, its items, None while
        they are not known.
        """
        jobs = dict(self._jobs)
        if not jobs:
            return {}
        told = sorted(jobs.items(), key=lambda named: named[1].status is Status.PENDING)[:MOST_JOBS]
        costs = [job.cost for job in jobs.values() if job.cost is not None]
        return {
            **{name: sum(getattr(job, name) for job in jobs.values()) for name in _SUMMED},
            "cost": sum(costs) if costs else None,
            "share": round(sum(job.share for job in jobs.values()) / len(jobs), 4),
            "jobs": [_document(name, job) for name, job in told],
        }

    def _of(self, task: str) -> _Job:
        return self._jobs.get(task) or self._jobs.setdefault(task, _Job())

    def _set_usage(self, job: _Job, usage: Usage) -> None:
        job.requests, job.retries, job.tokens, job.cost = usage.requests, usage.retries, usage.tokens, usage.cost


def _document(name: str, job: _Job) -> dict[str, Any]:
    sums = {key: getattr(job, key) for key in _SUMMED}
    return {"name": name, "status": job.status.value, "total": job.total, **sums, "cost": job.cost}
