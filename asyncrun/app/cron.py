"""Job files that run by themselves: the line of the crontab or the pair of units for one, and what it will miss there."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncrun.app.request import read_environment
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.endpoints.address import find_address
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import JobFileError, UsageError
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.loader import LoadOptions, load_job_file
from asyncrun.jobfile.sections import EndpointConfig, ModelConfig
from asyncrun.schedule.crontab import Entry, build_entry, find_settings, read_crontab
from asyncrun.schedule.expression import Schedule, parse_schedule
from asyncrun.schedule.systemd import Units, build_units

CRON_PATH = "/usr/bin:/bin"
"""What PATH is to a command of cron (crontab(5))."""


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """What is to run, and when. `jitter` is seconds; without a `name` it is that of the job file, without its ending."""

    file: Path
    at: str
    jobs: tuple[str, ...] = ()
    name: str | None = None
    jitter: float | None = None
    env_file: Path | None = None
    state_dir: Path | None = None


def plan_entry(run: ScheduledRun) -> Entry:
    """Return the line for it, after a look at its job file. Raises UsageError, JobFileError, StorageError."""
    schedule, words = _plan(run)
    try:
        return build_entry(_name(run), schedule, words, jitter=run.jitter, python=sys.executable)
    except ValueError as error:
        raise UsageError(str(error), hint="See asyncrun cron add --help.") from error


def plan_units(run: ScheduledRun) -> Units:
    """Return the units for it; raises as `plan_entry`."""
    schedule, words = _plan(run)
    # The name and the length keep to the rules of a crontab, so that one name may move from one to the other.
    try:
        return build_units(build_entry(_name(run), schedule, words).name, schedule, words, jitter=run.jitter)
    except ValueError as error:
        raise UsageError(f"--systemd: {error}", hint="See asyncrun cron add --help.") from error


def bare_environment() -> dict[str, str]:
    """Return what cron gives to a command, where the crontab sets nothing."""
    user = pwd.getpwuid(os.getuid())
    return {"HOME": user.pw_dir, "LOGNAME": user.pw_name, "USER": user.pw_name, "SHELL": "/bin/sh", "PATH": CRON_PATH}


def missing_under_cron(run: ScheduledRun, *, systemd: bool) -> list[str]:
    """Return which variables the job file and its models will miss: neither cron nor systemd gives it those of this shell."""
    set_there = {} if systemd else find_settings(read_crontab())
    there = read_environment({**bare_environment(), **set_there}, run.env_file)
    here = {**os.environ, **there}
    told = []
    try:
        load_job_file(run.file, LoadOptions(environ=there, jobs=run.jobs, check_inputs=False))
    except JobFileError as error:
        told = [f"{mistake.path}: {mistake.message}" for mistake in error.mistakes]
    with suppress(JobFileError):  # What is set nowhere has been told.
        jobs = load_job_file(run.file, LoadOptions(environ=here, jobs=run.jobs, check_inputs=False)).selected(run.jobs)
        told += _missing_variables(jobs, here, there)
    return told


def _plan(run: ScheduledRun) -> tuple[Schedule, list[str]]:
    try:
        schedule = parse_schedule(run.at)
    except ValueError as error:
        raise UsageError(f"--at {run.at!r}: {error}", hint='Such as --at "15 2 * * *" (each night at 2:15) or --at @daily.') from error
    if run.env_file is not None:
        read_environment({}, run.env_file)
    load_job_file(run.file, LoadOptions(environ=os.environ, jobs=run.jobs, check_inputs=False, resolve=False))
    words = [*program(), "run", str(run.file.absolute()), *run.jobs, "--quiet", "--if-running", "skip"]
    for flag, path in (("--env-file", run.env_file), ("--state-dir", run.state_dir)):
        words += [flag, str(path.absolute())] if path is not None else []
    return schedule, words


def program() -> list[str]:
    """Return the words that start this program from anywhere: its script, or the interpreter where it has none."""
    script = Path(sys.executable).with_name("asyncrun")
    # -P: the folder that cron starts in, the user's home, is no place to import from.
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-P", "-m", "asyncrun"]


def _name(run: ScheduledRun) -> str:
    return run.name or run.file.stem


def _missing_variables(jobs: Sequence[Job], here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that the jobs' models go by `here`, or cannot do without, and that is not set `there`."""
    from asyncrun.llms.providers import CHAT_PROVIDERS

    found: dict[str, None] = {}
    for job in jobs:
        for word, rows in (("embedder", PROVIDERS), ("llm", CHAT_PROVIDERS)):
            config = getattr(job, word, None)
            row = rows.get(config.provider) if isinstance(config, ModelConfig) else None
            if config is None or row is None:
                continue
            wanted = [getattr(row, "models", ())] if not config.model and _set_names(getattr(row, "models", ()), here) else []
            for where in config.endpoints_with_limits() or (config,):
                wanted += _wanted_variables(row.vendor, where, config.headers, here)
            for names in wanted:
                if not _set_names(names, there):
                    name = " or ".join(_set_names(names, here) or names)
                    found[f"{word} {config.provider}: the variable {name} is not set"] = None
    return list(found)


def _wanted_variables(
    vendor: Vendor, where: EndpointConfig | ModelConfig, headers: Mapping[str, object], here: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    """Yield the variables of a place, those for the same thing together."""
    if vendor.addresses and not where.base_url and (vendor.base_url is None or _set_names(vendor.addresses, here)):
        yield vendor.addresses
    if where.api_key or {name.lower() for name in headers} & {vendor.auth, "authorization"}:
        return
    try:
        own = find_address(vendor, where.base_url, None, here).own
    except UsageError:
        own = not where.base_url
    if own and vendor.keys and (vendor.needs_key or _set_names(vendor.keys, here)):
        yield vendor.keys


def _set_names(names: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in names if environ.get(name, "").strip())
