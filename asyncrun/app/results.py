"""What is there after a run, or while one goes on: failed items, and the rows that are done."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from asyncrun.app.builder import JobBuilder
from asyncrun.app.jobs import export_job
from asyncrun.app.opening import open_builder, until_interrupted
from asyncrun.app.request import Request
from asyncrun.errors import UsageError
from asyncrun.escape import cut
from asyncrun.jobfile.jobs import Job
from asyncrun.ledger.known_failures import KnownFailure
from asyncrun.records import ItemFailure
from asyncrun.results import Counts


def failed_items(request: Request) -> list[tuple[str, ItemFailure]]:
    """Return the failed items of the selected jobs, each with its job's name."""
    return asyncio.run(_failed_items(request))


def export_rows(request: Request, output: str) -> Counts:
    """Write the rows of the request's one job that are done now, in input order; sends nothing. Returns how many there are.

    Raises UsageError for a job that has no rows of its own, OutputError and StorageError.
    """
    return asyncio.run(_export_rows(request, output))


def with_failures(jobs: Iterable[Job], builder: JobBuilder, ids: Collection[str]) -> tuple[Job, ...]:
    """Return the jobs that have failed items, of these ids where some are named. Blocks. Raises UsageError for an id that did not fail."""
    failures = _failures(jobs, builder)
    known = {name for found in failures.values() for name in found}
    if unknown := sorted(set(ids) - known):
        raise UsageError(f"no failed item has the id {cut(unknown[0])!r}", hint="List them with `asyncrun failed`.")
    return tuple(job for job in jobs if (failures[job.name].keys() & set(ids) if ids else failures[job.name]))


def _failures(jobs: Iterable[Job], builder: JobBuilder) -> dict[str, dict[str, KnownFailure]]:
    return {job.name: builder.ledger.failures(builder.failures_of(job)) for job in jobs}


async def _failed_items(request: Request) -> list[tuple[str, ItemFailure]]:
    async with open_builder(request) as (builder, jobs):
        found = await asyncio.to_thread(_failures, jobs, builder)
    return [(name, known.failure) for name, failures in found.items() for known in failures.values()]


async def _export_rows(request: Request, output: str) -> Counts:
    async with open_builder(request) as (builder, jobs):
        named = [job for job in jobs if job.name in request.jobs]
        if len(named) != 1:
            raise UsageError("export takes one job", hint="Name it: asyncrun export jobs.yaml JOB -o FILE")
        [job] = named
        return await until_interrupted(asyncio.to_thread(export_job, job, builder, output), builder.stop)
