"""The rows of a job that are done now, written to another output; nothing is sent."""

from __future__ import annotations

import asyncio

from asyncrun.app.builder import JobBuilder
from asyncrun.app.inspection import open_builder, until_interrupted
from asyncrun.app.request import Request
from asyncrun.errors import UsageError
from asyncrun.jobfile.jobs import Job
from asyncrun.jobs.interface import find_kind
from asyncrun.results import Counts


def export_rows(request: Request, output: str) -> Counts:
    """Write the rows of the request's one job that are done now, in input order. Returns how many there are.

    Raises UsageError for a job that has no rows of its own, OutputError and StorageError.
    """

    async def export() -> Counts:
        async with open_builder(request) as (builder, jobs):
            named = [job for job in jobs if job.name in request.jobs]
            if len(named) != 1:
                raise UsageError("export takes one job", hint="Name it: asyncrun export jobs.yaml JOB -o FILE")
            return await until_interrupted(asyncio.to_thread(_export, named[0], builder, output), builder.stop)

    return asyncio.run(export())


def _export(job: Job, builder: JobBuilder, output: str) -> Counts:
    export = find_kind(job.kind).export
    if export is None:
        words = f"the job {job.name} is of the kind {job.kind}, which has no rows"
        raise UsageError(words, hint="Name one of the kind embed, generate or query.")
    return export(job, builder, builder.output_at(output))
