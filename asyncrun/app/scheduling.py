"""Job files that are to run by themselves: what is asked for becomes a line of the crontab or a pair of units."""

from __future__ import annotations

import os
import pwd
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncrun.app.missing_variables import lacking
from asyncrun.app.request import read_environment
from asyncrun.errors import JobFileError, UsageError
from asyncrun.jobfile.load import load_job_file
from asyncrun.jobfile.loader import LoadOptions
from asyncrun.schedule.crontab import Entry, build_entry, find_settings
from asyncrun.schedule.expression import Schedule, parse_schedule
from asyncrun.schedule.program import read_crontab
from asyncrun.schedule.systemd import Units, build_units

CRON_PATH = "/usr/bin:/bin"
"""What PATH is to a command of cron (crontab(5))."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to run, and when. `jitter` is seconds; without a `name` it is that of the job file, without its ending."""

    file: Path
    at: str
    jobs: tuple[str, ...] = ()
    name: str | None = None
    jitter: float | None = None
    env_file: Path | None = None
    state_dir: Path | None = None


def plan_entry(wish: Wish) -> Entry:
    """Return the line that a wish stands for, after a look at its job file. Raises UsageError, JobFileError, StorageError."""
    schedule, words = _plan(wish)
    try:
        return build_entry(_name(wish), schedule, words, jitter=wish.jitter, python=sys.executable)
    except ValueError as error:
        raise UsageError(str(error), hint="See asyncrun cron add --help.") from error


def plan_units(wish: Wish) -> Units:
    """Return the units that a wish stands for; raises as `plan_entry`."""
    schedule, words = _plan(wish)
    # The name and the length keep to the rules of a crontab, so that one name may move from one to the other.
    try:
        return build_units(build_entry(_name(wish), schedule, words).name, schedule, words, jitter=wish.jitter)
    except ValueError as error:
        raise UsageError(f"--systemd: {error}", hint="See asyncrun cron add --help.") from error


def bare_environment() -> dict[str, str]:
    """Return what cron gives to a command, where the crontab sets nothing."""
    user = pwd.getpwuid(os.getuid())
    return {"HOME": user.pw_dir, "LOGNAME": user.pw_name, "USER": user.pw_name, "SHELL": "/bin/sh", "PATH": CRON_PATH}


def missing_under_cron(wish: Wish, *, systemd: bool) -> list[str]:
    """Return which variables the job file and its models will miss: neither cron nor systemd gives it those of this shell."""
    set_there = {} if systemd else find_settings(read_crontab())
    there = read_environment({**bare_environment(), **set_there}, wish.env_file)
    here = {**os.environ, **there}
    told = []
    try:
        load_job_file(wish.file, LoadOptions(environ=there, jobs=wish.jobs, check_inputs=False))
    except JobFileError as error:
        told = [f"{mistake.path}: {mistake.message}" for mistake in error.mistakes]
    with suppress(JobFileError):  # What is set nowhere has been told.
        jobs = load_job_file(wish.file, LoadOptions(environ=here, jobs=wish.jobs, check_inputs=False)).selected(wish.jobs)
        told += lacking(jobs, here, there)
    return told


def _plan(wish: Wish) -> tuple[Schedule, list[str]]:
    try:
        schedule = parse_schedule(wish.at)
    except ValueError as error:
        raise UsageError(f"--at {wish.at!r}: {error}", hint='Such as --at "15 2 * * *" (each night at 2:15) or --at @daily.') from error
    if wish.env_file is not None:
        read_environment({}, wish.env_file)
    load_job_file(wish.file, LoadOptions(environ=os.environ, jobs=wish.jobs, check_inputs=False, resolve=False))
    words = [*program(), "run", str(wish.file.absolute()), *wish.jobs, "--quiet", "--if-running", "skip"]
    for flag, path in (("--env-file", wish.env_file), ("--state-dir", wish.state_dir)):
        words += [flag, str(path.absolute())] if path is not None else []
    return schedule, words


def program() -> list[str]:
    """Return the words that start this program from anywhere: its script, or the interpreter where it has none."""
    script = Path(sys.executable).with_name("asyncrun")
    # -P: the folder that cron starts in, the user's home, is no place to import from.
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-P", "-m", "asyncrun"]


def _name(wish: Wish) -> str:
    return wish.name or wish.file.stem
