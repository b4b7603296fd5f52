"""What a run would do, and whether a job file is free of mistakes; nothing is sent."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from asyncrun.aio.stop import Stop
from asyncrun.app.request import Request
from asyncrun.app.wiring import Workshop
from asyncrun.callbacks.manager import CallbackManager
from asyncrun.clock import SystemClock
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.load import load_job_file
from asyncrun.ledger.ledger import Ledger
from asyncrun.paths import state_folder
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


@asynccontextmanager
async def open_workshop(request: Request) -> AsyncIterator[tuple[Workshop, tuple[Job, ...]]]:
    """Open what the selected jobs of a file need, for looking only: no key, no lock, and nothing is written beside the job file."""
    job_file = load_job_file(request.file, variables=request.variables, environ=request.environ, jobs=request.jobs, need_keys=False)
    jobs = job_file.selected(request.jobs, request.with_needs)
    known = state_folder(request.file, request.state_dir) / "ledger.db"
    async with AsyncExitStack() as stack:
        # Without a ledger all is new: an empty one elsewhere says so, and the folder stays untouched.
        path = known if known.exists() else Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ledger.db"
        ledger = Ledger(path)
        stack.callback(ledger.close)
        workshop = Workshop(
            root=job_file.root,
            ledger=ledger,
            stop=Stop(),
            clock=SystemClock(),
            manager=CallbackManager(),
            rng=random.Random(),  # noqa: S311  # jitter, no secret
            environ=request.environ,
        )
        stack.push_async_callback(workshop.aclose)
        yield workshop, jobs
