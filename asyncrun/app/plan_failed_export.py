"""What `plan`, `failed` and `export` do: say what a run would do, list failed items, write the rows that are done. Nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from asyncrun.aio.stop import StopRequest
from asyncrun.app.builder import JobBuilder, open_builder
from asyncrun.app.job_checks import check_jobs, outputs_read
from asyncrun.app.request import Request
from asyncrun.errors import AsyncrunError, TryLaterError, UsageError
from asyncrun.escape import cut
from asyncrun.jobfile.jobs import Job
from asyncrun.jobs.interface import find_kind
from asyncrun.ledger.job_records import KnownFailure, known_failures
from asyncrun.ports import JobRun
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobPlan

T = TypeVar("T")


def plan_jobs(request: Request) -> list[JobPlan]:
    """Return the plans of the selected jobs. Needs no key and writes nothing beside the job file."""

    async def plan() -> list[JobPlan]:
        async with open_builder(request) as (builder, jobs):
            return await _until_interrupted(_plan_all(jobs, builder), builder.stop)

    return asyncio.run(plan())


def failed_items(request: Request) -> list[tuple[str, ItemFailure]]:
    """Return the failed items of the selected jobs, each with its job's name."""

    async def find() -> dict[str, dict[str, KnownFailure]]:
        async with open_builder(request) as (builder, jobs):
            return await asyncio.to_thread(_failures, jobs, builder)

    return [(name, known.failure) for name, failures in asyncio.run(find()).items() for known in failures.values()]


def with_failures(jobs: Iterable[Job], builder: JobBuilder, ids: Collection[str]) -> tuple[Job, ...]:
    """Return the jobs that have failed items, of these ids where some are named. Blocks. Raises UsageError for an id that did not fail."""
    failures = _failures(jobs, builder)
    known = {name for found in failures.values() for name in found}
    if unknown := sorted(set(ids) - known):
        raise UsageError(f"no failed item has the id {cut(unknown[0])!r}", hint="List them with `asyncrun failed`.")
    return tuple(job for job in jobs if (failures[job.name].keys() & set(ids) if ids else failures[job.name]))


def export_rows(request: Request, output: str) -> Counts:
    """Write the rows of the request's one job that are done now, in input order. Returns how many there are.

    Raises UsageError for a job that has no rows of its own, OutputError and StorageError.
    """

    async def export() -> Counts:
        async with open_builder(request) as (builder, jobs):
            named = [job for job in jobs if job.name in request.jobs]
            if len(named) != 1:
                raise UsageError("export takes one job", hint="Name it: asyncrun export jobs.yaml JOB -o FILE")
            return await _until_interrupted(asyncio.to_thread(_export, named[0], builder, output), builder.stop)

    return asyncio.run(export())


async def _until_interrupted(work: Coroutine[Any, Any, T], stop: StopRequest) -> T:
    """Return what the work returns. When it is cancelled, as by Ctrl-C, it is told to stop and waited for: no thread can be cancelled."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.request("interrupted")
        await asyncio.gather(task, return_exceptions=True)
        raise


async def _plan_all(jobs: Sequence[Job], builder: JobBuilder) -> list[JobPlan]:
    keyless = await asyncio.to_thread(partial(check_jobs, jobs, builder, need_keys=False))
    writers = await asyncio.to_thread(_writers_of_missing, jobs, builder)
    plans = []
    for job in jobs:
        try:
            run = await asyncio.to_thread(_open, job, builder)
            plan = _unknown(job, writers[job.name]) if job.name in writers else await run.plan()
        except AsyncrunError as error:
            if error.place is None and not isinstance(error, TryLaterError):
                error.message = f"job {job.name}: {error.message}"
            raise
        refused = [f"a run is refused: {keyless[job.name].message}"] if job.name in keyless else []
        plans.append(plan.noted(*refused))
    # They are mistakes of the file, and no single job's.
    return [plan.noted(*(f"a run is refused: {mistake}" for mistake in builder.job_file.keyless)) for plan in plans[:1]] + plans[1:]


def _writers_of_missing(jobs: Sequence[Job], builder: JobBuilder) -> dict[str, str]:
    """Return which jobs read a file that is not there yet, each with a job that writes one. Blocks."""
    read = outputs_read(jobs, builder.root)
    return {name: writer for name, files in read.items() for path, writer in files.items() if not path.exists()}


def _open(job: Job, builder: JobBuilder) -> JobRun:
    return find_kind(job.kind).open(job, builder)


def _unknown(job: Job, writer: str) -> JobPlan:
    return JobPlan(job.name, job.kind, 0, 0, notes=(f"its input is made by {writer} and is not there yet: what it sends is unknown",))


def _failures(jobs: Iterable[Job], builder: JobBuilder) -> dict[str, dict[str, KnownFailure]]:
    return {job.name: known_failures(builder.ledger, builder.failures_of(job)) for job in jobs}


def _export(job: Job, builder: JobBuilder, output: str) -> Counts:
    export = find_kind(job.kind).export
    if export is None:
        raise UsageError(f"the job {job.name} is of the kind {job.kind}, which has no rows", hint="Name one of the kind embed or query.")
    return export(job, builder, builder.output_at(output))
