"""What a run would do; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from asyncrun.app.builder import JobBuilder
from asyncrun.app.jobs import check_jobs, made_inputs, open_job
from asyncrun.app.opening import open_builder, until_interrupted
from asyncrun.app.request import Request
from asyncrun.errors import AsyncrunError, TryLaterError
from asyncrun.jobfile.jobs import Job
from asyncrun.results import JobPlan


def plan_jobs(request: Request) -> list[JobPlan]:
    """Return the plans of the selected jobs. Needs no key and writes nothing beside the job file."""
    return asyncio.run(_plan(request))


async def _plan(request: Request) -> list[JobPlan]:
    async with open_builder(request) as (builder, jobs):
        return await until_interrupted(_plan_all(jobs, builder), builder.stop)


async def _plan_all(jobs: Sequence[Job], builder: JobBuilder) -> list[JobPlan]:
    keyless = await asyncio.to_thread(partial(check_jobs, jobs, builder, need_keys=False))
    makers = await asyncio.to_thread(_makers_of_missing, jobs, builder)
    plans = []
    for job in jobs:
        try:
            kind = await asyncio.to_thread(open_job, job, builder)
            plan = _unknown(job, makers[job.name]) if job.name in makers else await kind.plan()
        except AsyncrunError as error:
            if error.place is None and not isinstance(error, TryLaterError):
                error.message = f"job {job.name}: {error.message}"
            raise
        refused = [f"a run is refused: {keyless[job.name].message}"] if job.name in keyless else []
        plans.append(plan.noted(*refused))
    # They are mistakes of the file, and no single job's.
    return [plan.noted(*(f"a run is refused: {mistake}" for mistake in builder.keyless)) for plan in plans[:1]] + plans[1:]


def _makers_of_missing(jobs: Sequence[Job], builder: JobBuilder) -> dict[str, str]:
    """Return which jobs read a file that is not there yet, each with a job that makes one. Blocks."""
    read = made_inputs(jobs, builder.root)
    missing = ((name, maker) for name, files in read.items() for path, maker in files.items() if not path.exists())
    return dict(missing)


def _unknown(job: Job, maker: str) -> JobPlan:
    return JobPlan(job.name, job.kind, 0, 0, notes=(f"its input is made by {maker} and is not there yet: what it sends is unknown",))
