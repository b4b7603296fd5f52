"""What a run would do, and whether a job file is free of mistakes; nothing is sent."""

from __future__ import annotations

import asyncio

from asyncrun.app.opening import open_workshop
from asyncrun.app.request import Request
from asyncrun.jobfile.load import load_job_file
from asyncrun.records import JobPlan


def plan_jobs(request: Request) -> list[JobPlan]:
    """Return the plans of the selected jobs. Needs no key and writes nothing beside the job file."""
    return asyncio.run(_plan(request))


def check_job_file(request: Request, *, strict: bool) -> list[str]:
    """Return the names of the jobs. Raises JobFileError; `strict` also demands variables and inputs."""
    job_file = load_job_file(
        request.file, variables=request.variables, environ=request.environ, check_inputs=strict, resolve=strict, need_keys=strict
    )
    return [job.name for job in job_file.jobs]


async def _plan(request: Request) -> list[JobPlan]:
    async with open_workshop(request) as (workshop, jobs):
        return [await (await asyncio.to_thread(workshop.open_kind, job)).plan() for job in jobs]
