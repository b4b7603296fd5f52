"""Whether a job file is free of mistakes: found out by reading it, without any of the parts that it names."""

from __future__ import annotations

from asyncrun.app.request import Request
from asyncrun.jobfile.load import load_job_file
from asyncrun.jobfile.loading import Reading


def check_job_file(request: Request, *, strict: bool) -> list[str]:
    """Return the names of the jobs. Raises JobFileError; `strict` also demands variables and inputs."""
    reading = Reading(variables=request.variables, environ=request.environ, check_inputs=strict, resolve=strict, need_keys=strict)
    return [job.name for job in load_job_file(request.file, reading).jobs]
