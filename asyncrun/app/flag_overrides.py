"""What flags change about the jobs of a file, for one run: selection, input and output, the first items alone, how much may fail or go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asyncrun import registry
from asyncrun.app.overwrite_checks import check_written
from asyncrun.app.request import Request, environment_secrets
from asyncrun.errors import StorageError, UsageError
from asyncrun.grammar.file_formats import STDIN
from asyncrun.humanize import did_you_mean
from asyncrun.jobfile.input_output import OutputConfig
from asyncrun.jobfile.job_file import JobFile, closure, unknown_job
from asyncrun.jobfile.jobs import Job, setting_of
from asyncrun.jobfile.loader import LoadOptions, load_job_file, parse_job_file
from asyncrun.jobfile.notify import NotifyConfig
from asyncrun.jobfile.sections import EXECUTOR_KEYS, ExecutorConfig, LlmConfig
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.run_options import RunOptions
from asyncrun.redact import Redactor

RUN = ""
"""Stands for the run where jobs stand by their names."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A job file, and the jobs of it that a request selects, as its flags have them; `left` are those that a shard cannot do."""

    job_file: JobFile
    jobs: tuple[Job, ...]
    left: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Return what there is to say of jobs that are left out."""
        why = "the store that it asks is filled by the run that joins the shards, and it is left to that"
        return tuple(f"{name}: {why}" for name in self.left)

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


def load_jobs(request: Request, *, need_keys: bool = True, need_inputs: bool = True) -> Selection:
    """Return the job file of a request and the jobs that it selects, with its flags applied. Blocks.

    Raises JobFileError, and UsageError for flags that do not fit the jobs, or that name a file to write that must stay.
    """
    options = request.options
    job_file = _load(request, need_keys, need_inputs)
    names = [job.name for job in job_file.jobs]
    if isinstance(options.executor, str):
        job_file = replace(job_file, executor=_executor(options.executor, job_file.executor))
    if options.from_job is not None and options.from_job not in names:
        raise unknown_job(options.from_job, names)
    if options.refresh and not request.jobs:
        raise UsageError("--refresh needs the names of jobs", hint="Name what is to be made again: asyncrun run jobs.yaml JOB --refresh")
    jobs = job_file.selected(request.jobs, options.with_needs)
    if options.from_job is not None:
        jobs = _from(options.from_job, job_file, jobs)
        if not jobs:
            raise UsageError(
                f"none of the named jobs needs {options.from_job}", hint="Name jobs that come after it, or leave the names out."
            )
    if options.input is not None or options.output is not None:
        jobs = tuple(_redirected(job, options) if job.name == request.jobs[0] else job for job in jobs)
    left: tuple[str, ...] = ()
    if options.is_partial:
        from asyncrun.app.partial_runs import take_part

        jobs, left = take_part(jobs, options, job_file.root)
    if options.max_cost is not None:
        _check_prices(jobs)
    check_written(request, job_file, jobs)
    return Selection(job_file, tuple(_with_limits_of_flags(job, options) for job in jobs), left)


def _executor(name: str, stated: ExecutorConfig) -> ExecutorConfig:
    """Return the executor that a flag names, with what the job file states of it."""
    if name not in EXECUTOR_KEYS:
        known = f"It is one of {', '.join(EXECUTOR_KEYS)}."
        raise UsageError(f"--executor {name}: no such executor{did_you_mean(name, EXECUTOR_KEYS)}", hint=known)
    if (missing := registry.missing_extra("executors", name)) is not None:
        raise missing
    return stated.overridden(name)


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


def _load(request: Request, need_keys: bool, need_inputs: bool) -> JobFile:
    options = request.options

    def load(jobs: Sequence[str], check_inputs: bool) -> JobFile:
        reading = LoadOptions(
            variables=request.variables, environ=request.environ, jobs=jobs, check_inputs=check_inputs, need_keys=need_keys
        )
        return load_job_file(request.file, reading) if request.text is None else parse_job_file(request.text, request.file, reading)

    if options.input is None and options.output is None:
        return load(request.jobs, check_inputs=need_inputs)
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


def _with_limits_of_flags(job: Job, options: RunOptions) -> Job:
    fallback = {"workers": options.fallback_workers, "max_runtime": options.fallback_max_runtime}
    changes: dict[str, Any] = {key: value for key, value in fallback.items() if value is not None and key not in job.model_fields_set}
    if options.fail_fast:
        changes["max_failures"] = Threshold(count=0)
    if options.max_delete is not None and "max_delete" in type(job).model_fields:
        changes["max_delete"] = options.max_delete
    return job.model_copy(update=changes) if changes else job
