"""JSON documents of a run and of what refused one, with the names that programs rely on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from asyncrun.errors import JobFileError, Mistake, UsageError
from asyncrun.results import Counts, ExecutorUse, JobResult, RunResult, WorkerUse
from asyncrun.usage import Usage

DOCUMENT_VERSION = 1
"""The version of the documents: it changes when a name is taken away or means something else."""

MOST_WORKERS = 50
"""Workers that are told one by one."""


def document(type_: str | None = None, /, **values: Any) -> dict[str, Any]:
    """Return a document ready for JSON: its type, where there are several, the version, then its values.

    >>> document("job_started", name="notes")
    {'type': 'job_started', 'schema': 1, 'name': 'notes'}
    """
    return {**({} if type_ is None else {"type": type_}), "schema": DOCUMENT_VERSION, **values}


def summary_document(result: RunResult) -> dict[str, Any]:
    """Return the summary of a run, ready for JSON; `bound_by` says what kept the run from being faster, None when that is not known.

    >>> summary_document(RunResult("r1", (), 0.5))["status"]
    'succeeded'
    """
    return document(
        "summary",
        run_id=result.run_id,
        **({} if result.shard is None else {"shard": result.shard}),
        status=result.status.value,
        exit_code=result.exit_code,
        seconds=round(result.seconds, 3),
        **counters(result.counts, result.usage),
        bound_by=result.bound_by,
        jobs=[job_document(job) for job in result.jobs],
        **({} if result.executor is None else executor_document(result.executor)),
    )


def executor_document(use: ExecutorUse) -> dict[str, Any]:
    """Return what the workers of an executor did, ready for JSON; of very many the busiest ones, and the others as one without a name.

    >>> executor_document(ExecutorUse((WorkerUse("pid 7", 2, 1.5, 0.25),)))["workers"]
    [{'name': 'pid 7', 'calls': 2, 'seconds': 1.5, 'ship': 0.25}]
    """
    rows, rest = list(use.workers[:MOST_WORKERS]), use.workers[MOST_WORKERS:]
    if rest:
        others = (sum(each.calls for each in rest), sum(each.seconds for each in rest), sum(each.ship for each in rest))
        rows.append(WorkerUse("", *others))
    told = [{**asdict(row), "seconds": round(row.seconds, 3), "ship": round(row.ship, 3)} for row in rows]
    return {"lost_workers": use.lost_workers, "lost_calls": use.lost_calls, "workers": told}


def job_document(job: JobResult) -> dict[str, Any]:
    """Return how one job ended, ready for JSON; of one that asks a chat model with the tokens that went in and came out."""
    written = job.usage.output_tokens
    return {
        "name": job.name,
        "kind": job.kind,
        "status": job.status.value,
        "reason": job.reason,
        "exit_code": job.exit_code,
        "seconds": round(job.seconds, 3),
        **counters(job.counts, job.usage),
        "bound_by": job.bound_by,
        "output": job.output,
        **({} if not written else {"input_tokens": job.usage.tokens - written, "output_tokens": written}),
        **({} if job.delivery is None else {"delivery": asdict(job.delivery)}),
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


def refusal_document(error: UsageError, redact: Callable[[str], str]) -> dict[str, Any]:
    """Return why nothing ran; of a job file all its mistakes, each with its place.

    >>> refusal_document(UsageError("no such job", hint="See asyncrun --help."), str)["message"]
    'no such job'
    """
    mistakes = error.mistakes if isinstance(error, JobFileError) else ()
    said = "the job file has mistakes" if mistakes else error.message
    place = None if error.place is None else str(error.place)
    told = document("error", exit_code=error.exit_code, message=redact(said), place=place, hint=redact(error.hint))
    return {**told, "mistakes": [_mistake(mistake, redact) for mistake in mistakes]}


def _mistake(mistake: Mistake, redact: Callable[[str], str]) -> dict[str, Any]:
    file, line, column = mistake.place or (None, None, None)
    words = {name: (text := getattr(mistake, name)) and redact(text) for name in ("message", "allowed", "suggestion")}
    return {"file": file, "line": line, "column": column, "path": mistake.path, **words}
