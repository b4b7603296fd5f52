"""JSON documents of a run: its summary and its jobs, with the names that programs rely on."""

from __future__ import annotations

from typing import Any

from asyncrun.records import Counts, JobResult, RunResult, Usage

SCHEMA = 1
"""The version of the documents: it changes when a name is taken away or means something else."""


def summary_document(result: RunResult, *, bound_by: str | None = None) -> dict[str, Any]:
    """Return the summary of a run, ready for JSON; `bound_by` says what kept the run from being faster, None when that is not known.

    >>> summary_document(RunResult("r1", (), 0.5))["status"]
    'succeeded'
    """
    return {
        "type": "summary",
        "schema": SCHEMA,
        "run_id": result.run_id,
        "status": result.status.value,
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 3),
        **counters(result.counts, result.usage),
        "bound_by": bound_by,
        "jobs": [job_document(job) for job in result.jobs],
    }


def job_document(job: JobResult) -> dict[str, Any]:
    """Return how one job ended, ready for JSON."""
    return {
        "name": job.name,
        "kind": job.kind,
        "status": job.status.value,
        "reason": job.reason,
        "exit_code": job.exit_code,
        "seconds": round(job.seconds, 3),
        **counters(job.counts, job.usage),
        "bound_by": None,
        "output": job.output,
    }


def counters(counts: Counts, usage: Usage) -> dict[str, Any]:
    """Return the counters that runs and jobs share; `items` is always ok + failed + skipped.

    >>> counters(Counts(ok=2, cached=1), Usage(tokens=5))["items"]
    2
    """
    return {
        "items": counts.ok + counts.failed + counts.skipped,
        "ok": counts.ok,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "cached": counts.cached,
        "removed": counts.removed,
        "truncated": counts.truncated,
        "requests": usage.requests,
        "retries": usage.retries,
        "tokens": usage.tokens,
        "cost": usage.cost,
        "cost_source": None if usage.cost is None else "price",
    }
