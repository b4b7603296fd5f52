"""What a run would do; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asyncrun.app.opening import open_workshop, until_interrupted
from asyncrun.app.request import Request
from asyncrun.app.wiring import Workshop, output_path
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.model import absolute
from asyncrun.records import JobPlan
from asyncrun.writers.open import STDOUT


def plan_jobs(request: Request) -> list[JobPlan]:
    """Return the plans of the selected jobs. Needs no key and writes nothing beside the job file."""
    return asyncio.run(_plan(request))


async def _plan(request: Request) -> list[JobPlan]:
    async with open_workshop(request) as (workshop, jobs):
        return await until_interrupted(_plan_all(jobs, workshop), workshop.stop)


async def _plan_all(jobs: Sequence[Job], workshop: Workshop) -> list[JobPlan]:
    makers = await asyncio.to_thread(_makers_of_missing, jobs, workshop)
    return [
        await (await asyncio.to_thread(workshop.open_kind, job)).plan() if job.name not in makers else _unknown(job, makers[job.name])
        for job in jobs
    ]


def _makers_of_missing(jobs: Sequence[Job], workshop: Workshop) -> dict[str, str]:
    """Return which jobs read a file that is not there yet, each with the job that makes it. Blocks."""
    root = workshop.root
    outputs = {absolute(root, path): job.name for job in jobs if (path := output_path(job)) not in (None, STDOUT)}
    read = ((job.name, absolute(root, path)) for job in jobs for path in job.input.paths)
    return {name: outputs[path] for name, path in read if path in outputs and not path.exists()}


def _unknown(job: Job, maker: str) -> JobPlan:
    return JobPlan(job.name, job.kind, 0, 0, notes=(f"its input is made by {maker} and is not there yet: what it sends is unknown",))
