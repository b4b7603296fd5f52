"""Which items have failed, as the ledger knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from asyncrun.app.builder import JobBuilder
from asyncrun.app.inspection import open_builder
from asyncrun.app.request import Request
from asyncrun.errors import UsageError
from asyncrun.escape import cut
from asyncrun.jobfile.jobs import Job
from asyncrun.ledger.job_records import KnownFailure, known_failures
from asyncrun.records import ItemFailure


def failed_items(request: Request) -> list[tuple[str, ItemFailure]]:
    """Return the failed items of the selected jobs, each with its job's name."""
    return asyncio.run(_failed_items(request))


async def _failed_items(request: Request) -> list[tuple[str, ItemFailure]]:
    async with open_builder(request) as (builder, jobs):
        found = await asyncio.to_thread(_failures, jobs, builder)
    return [(name, known.failure) for name, failures in found.items() for known in failures.values()]


def with_failures(jobs: Iterable[Job], builder: JobBuilder, ids: Collection[str]) -> tuple[Job, ...]:
    """Return the jobs that have failed items, of these ids where some are named. Blocks. Raises UsageError for an id that did not fail."""
    failures = _failures(jobs, builder)
    known = {name for found in failures.values() for name in found}
    if unknown := sorted(set(ids) - known):
        raise UsageError(f"no failed item has the id {cut(unknown[0])!r}", hint="List them with `asyncrun failed`.")
    return tuple(job for job in jobs if (failures[job.name].keys() & set(ids) if ids else failures[job.name]))


def _failures(jobs: Iterable[Job], builder: JobBuilder) -> dict[str, dict[str, KnownFailure]]:
    return {job.name: known_failures(builder.ledger, builder.job_id(job)) for job in jobs}
