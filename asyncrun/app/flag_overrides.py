"""What flags change about the jobs of a file, for one run: selection, input and output, the first items alone, how much may fail or go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from asyncrun.app.overwrite_checks import check_written
from asyncrun.app.request import Request, environment_secrets
from asyncrun.errors import StorageError, UsageError
from asyncrun.grammar.file_formats import STDIN, STDOUT
from asyncrun.jobfile.input_output import OutputConfig
from asyncrun.jobfile.job_file import JobFile, absolute, closure, unknown_job
from asyncrun.jobfile.jobs import Job, setting_of
from asyncrun.jobfile.loader import LoadOptions, load_job_file, parse_job_file
from asyncrun.jobfile.notify import NotifyConfig
from asyncrun.jobfile.sections import LlmConfig
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.run_options import RunOptions
from asyncrun.redact import Redactor

RUN = ""
"""Stands for the run where jobs stand by their names."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A job file, and the jobs of it that a request selects, as its flags have them."""

    job_file: JobFile
    jobs: tuple[Job, ...]

    def pings(self) -> dict[str, str]:
        """Return the addresses that are told of begin and end, by the names of jobs and `RUN`."""
        pings = {RUN: self.job_file.notify.ping, **{job.name: job.notify.ping for job in self.jobs}}
        return {name: ping.get_secret_value() for name, ping in pings.items() if ping is not None}

    def notices(self) -> dict[str, NotifyConfig]:
        """Return who is told of ends by Apprise, by the names of jobs and `RUN`."""
        stated = {RUN: self.job_file.notify, **{job.name: job.notify for job in self.jobs}}
        return {name: notify for name, notify in stated.items() if notify.to and notify.when != ("never",)}

    def redactor(self, environ: Mapping[str, str]) -> Redactor:
        """Return who knows the secrets of the job file and of the environment that it is used in."""
        return Redactor({*self.job_file.secrets(), *environment_secrets(environ)})


def load_jobs(request: Request, *, need_keys: bool = True) -> Selection:
    """Return the job file of a request and the jobs that it selects, with its flags applied. Blocks.

    Raises JobFileError, and UsageError for flags that do not fit the jobs, or that name a file to write that must stay.
    """
    options = request.options
    job_file = _load(request, need_keys)
    names = [job.name for job in job_file.jobs]
    if options.from_job is not None and options.from_job not in names:
        raise unknown_job(options.from_job, names)
    if options.refresh and not request.jobs:
        raise UsageError("--refresh needs the names of jobs", hint="Name what is to be made again: asyncrun run jobs.yaml JOB --refresh")
    if options.refresh and options.limit is not None:
        raise UsageError("--refresh and --limit do not go together", hint="Make a job again as a whole, or try its first items.")
    jobs = job_file.selected(request.jobs, options.with_needs)
    if options.from_job is not None:
        jobs = _from(options.from_job, job_file, jobs)
        if not jobs:
            raise UsageError(
                f"none of the named jobs needs {options.from_job}", hint="Name jobs that come after it, or leave the names out."
            )
    if options.input is not None or options.output is not None:
        jobs = tuple(_redirected(job, options) if job.name == request.jobs[0] else job for job in jobs)
    if options.limit is not None:
        jobs = _limited(jobs, options.limit, job_file.root)
    if options.max_cost is not None:
        _check_prices(jobs)
    check_written(request, job_file, jobs)
    return Selection(job_file, tuple(_with_limits_of_flags(job, options) for job in jobs))


def _check_prices(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.embedder.provider != "local" and job.embedder.price_per_million_tokens is None:
            raise UsageError(
                f"--max-cost needs a price, and the embedder of the job {job.name} has none",
                hint="Set price_per_million_tokens at the embedder.",
            )
        llm: LlmConfig | None = setting_of(job, "llm")
        if llm is not None and llm.price_per_million_tokens is None:
            raise UsageError(
                f"--max-cost needs a price, and the llm of the job {job.name} has none", hint="Set price_per_million_tokens at the llm."
            )


def _load(request: Request, need_keys: bool) -> JobFile:
    options = request.options

    def load(jobs: Sequence[str], check_inputs: bool) -> JobFile:
        reading = LoadOptions(
            variables=request.variables, environ=request.environ, jobs=jobs, check_inputs=check_inputs, need_keys=need_keys
        )
        return load_job_file(request.file, reading) if request.text is None else parse_job_file(request.text, request.file, reading)

    if options.input is None and options.output is None:
        return load(request.jobs, check_inputs=True)
    if len(request.jobs) != 1:
        raise UsageError("--input and --output take one job", hint="Name it: asyncrun run jobs.yaml JOB --input FILE")
    if options.input is None:
        return load(request.jobs, check_inputs=True)
    # The input that the file states need not be there; those of the jobs before must.
    job_file = load(request.jobs, check_inputs=False)
    if before := _needs(request.jobs[0], job_file) if options.with_needs else []:
        load(before, check_inputs=True)
    if options.input != STDIN and not Path(options.input).exists():
        raise StorageError(f"there is no {options.input}", hint="Check the path of --input.")
    return job_file


def _needs(name: str, job_file: JobFile) -> list[str]:
    needs = {job.name: job.needs for job in job_file.jobs}
    return sorted(closure({name}, needs) - {name})


def _from(name: str, job_file: JobFile, jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Return the job and those of the selected that need it, directly or not."""
    needs = {job.name: job.needs for job in job_file.jobs}
    return tuple(job for job in jobs if name in closure({job.name}, needs))


def _redirected(job: Job, options: RunOptions) -> Job:
    changes: dict[str, Any] = {}
    if options.input is not None:
        changes["input"] = job.input.model_copy(update={"paths": (_typed(options.input),), "items": (), "root": None, "exclude": ()})
    if options.output is not None:
        if not hasattr(job, "output"):
            raise UsageError(f"the job {job.name} has no output", hint="Leave --output out.")
        changes["output"] = OutputConfig.model_validate({"path": _typed(options.output)})
        if not changes["output"].format:
            raise UsageError(f"the ending of {options.output} names no format", hint="Use .jsonl, .parquet, .csv, .npy or '-'.")
    return job.model_copy(update=changes)


def _typed(path: str) -> str:
    """Return a path of the command line: it starts at the working directory, not at the job file's folder."""
    return path if path == STDIN else str(Path(path).absolute())


def _limited(jobs: Sequence[Job], limit: int, root: Path) -> tuple[Job, ...]:
    """Return the jobs with outputs of their own, which those that read them read, too."""
    moved: dict[Path, str] = {}
    for job in jobs:
        output: OutputConfig | None = getattr(job, "output", None)
        if output is not None and output.path != STDOUT:
            moved[absolute(root, output.path)] = limited_path(output.path, limit)
    return tuple(_moved(job, moved, root) for job in jobs)


def _moved(job: Job, moved: dict[Path, str], root: Path) -> Job:
    paths = tuple(path if path == STDIN else moved.get(absolute(root, path), path) for path in job.input.paths)
    changes: dict[str, Any] = {"input": job.input.model_copy(update={"paths": paths})}
    output: OutputConfig | None = getattr(job, "output", None)
    if output is not None and output.path != STDOUT:
        changes["output"] = output.model_copy(update={"path": moved[absolute(root, output.path)]})
    return job.model_copy(update=changes)


def limited_path(path: str, limit: int) -> str:
    """Return where the rows of the first items go.

    >>> limited_path("out/notes.parquet", 10)
    'out/notes.limit-10.parquet'
    """
    pure = PurePath(path)
    return str(pure.with_name(f"{pure.stem}.limit-{limit}{pure.suffix}"))


def _with_limits_of_flags(job: Job, options: RunOptions) -> Job:
    fallback = {"workers": options.fallback_workers, "max_runtime": options.fallback_max_runtime}
    changes: dict[str, Any] = {key: value for key, value in fallback.items() if value is not None and key not in job.model_fields_set}
    if options.fail_fast:
        changes["max_failures"] = Threshold(count=0)
    if options.max_delete is not None and "max_delete" in type(job).model_fields:
        changes["max_delete"] = options.max_delete
    return job.model_copy(update=changes) if changes else job
