"""What is there after a run, or while one goes on: failed items, and the rows that are done."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from asyncrun.app.opening import open_workshop
from asyncrun.app.request import Request
from asyncrun.app.wiring import Workshop
from asyncrun.errors import UsageError
from asyncrun.jobfile.jobs import EmbedJob, Job
from asyncrun.records import Counts, ItemFailure


def failed_items(request: Request) -> list[tuple[str, ItemFailure]]:
    """Return the failed items of the selected jobs, each with its job's name."""
    return asyncio.run(_failed_items(request))


def export_rows(request: Request, output: str) -> Counts:
    """Write the rows of the request's one job that are done now, in input order; sends nothing. Returns how many there are.

    Raises UsageError for a job that has no rows of its own, OutputError and StorageError.
    """
    return asyncio.run(_export_rows(request, output))


def with_failures(jobs: Iterable[Job], workshop: Workshop, ids: Collection[str]) -> tuple[Job, ...]:
    """Return the jobs that have failed items, of these ids where some are named. Blocks. Raises UsageError for an id that did not fail."""
    failures = {job.name: workshop.ledger.failures(workshop.failures_of(job)) for job in jobs}
    known = {name for found in failures.values() for name in found}
    if unknown := sorted(set(ids) - known):
        raise UsageError(f"no failed item has the id {unknown[0]!r}", hint="List them with `asyncrun failed`.")
    return tuple(job for job in jobs if (failures[job.name].keys() & set(ids) if ids else failures[job.name]))


async def _failed_items(request: Request) -> list[tuple[str, ItemFailure]]:
    async with open_workshop(request) as (workshop, jobs):
        found = [(job.name, await asyncio.to_thread(workshop.ledger.failures, workshop.failures_of(job))) for job in jobs]
    return [(name, known.failure) for name, failures in found for known in failures.values()]


async def _export_rows(request: Request, output: str) -> Counts:
    async with open_workshop(request) as (workshop, jobs):
        named = [job for job in jobs if job.name in request.jobs and isinstance(job, EmbedJob)]
        if len(named) != 1 or len(request.jobs) != 1:
            raise UsageError("export takes one job of the kind embed", hint="Name it: asyncrun export jobs.yaml JOB -o FILE")
        kind = await asyncio.to_thread(workshop.open_embed, named[0])
        return await asyncio.to_thread(lambda: kind.export(workshop.open_output(output)))
