"""Whether a job file is free of mistakes: found out by reading it; strictly, by a look at what its jobs will find, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asyncrun.app.request import Request
from asyncrun.jobfile.files import raise_mistakes
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.loader import LoadOptions, load_job_file
from asyncrun.jobs.interface import find_kind


def check_job_file(request: Request, *, strict: bool) -> tuple[list[str], list[str]]:
    """Return the names of the jobs, and what is to be said of them that is no mistake.

    Raises JobFileError; `strict` also demands variables, inputs, and that they have the fields named.
    """
    reading = LoadOptions(variables=request.variables, environ=request.environ, check_inputs=strict, resolve=strict, need_keys=strict)
    job_file = load_job_file(request.file, reading)
    names = [job.name for job in job_file.jobs]
    if strict:
        _check_strictly(request, names)
    return names, [f"{job.name}: {remark}" for job in job_file.jobs for remark in _remarks(job, job_file.root)]


def _remarks(job: Job, root: Path) -> Sequence[str]:
    remarks = find_kind(job.kind).remarks if job.declared else None
    return () if remarks is None else remarks(job, root)


def _check_strictly(request: Request, names: Sequence[str]) -> None:
    """Raise JobFileError with what is wrong beside the file's own mistakes."""
    import asyncio

    from asyncrun.app.inspection import open_builder
    from asyncrun.app.job_checks import FoundProblem, mismatches

    async def find() -> list[FoundProblem]:
        async with open_builder(request, need_keys=True) as (builder, jobs):
            return await asyncio.to_thread(lambda: list(mismatches(jobs, builder)))

    found = asyncio.run(find())
    raise_mistakes(request.file, [(("jobs", names.index(job.name), *each.path), each.message) for job, each in found])
