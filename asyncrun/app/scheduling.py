"""Job files that run by themselves: what is asked for becomes a line of the crontab or a pair of units, and is put there or taken away."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncrun.app.lacking import lacking
from asyncrun.app.request import read_environment
from asyncrun.errors import JobFileError, UsageError
from asyncrun.jobfile.load import load_job_file
from asyncrun.jobfile.loading import Reading
from asyncrun.schedule.crontab import Entry, add_entry, build_entry, find_entries, find_settings, remove_entry, render_line
from asyncrun.schedule.expression import Schedule, parse_schedule
from asyncrun.schedule.folder import read_units, remove_units, units_folder, write_units
from asyncrun.schedule.program import read_crontab, write_crontab
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


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry that is there, and where: `cron` or `systemd`."""

    entry: Entry
    kind: str


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


def install_entry(entry: Entry, environ: Mapping[str, str]) -> None:
    """Put a line into the user's crontab. Raises UsageError when its name is taken, StorageError when crontab refuses."""
    text = read_crontab()
    if entry in find_entries(text):
        return
    _check_free(entry.name, [*find_entries(text), *read_units(units_folder(environ))])
    write_crontab(add_entry(text, entry))


def install_units(units: Units, environ: Mapping[str, str]) -> list[Path]:
    """Write the units and return their paths. Raises UsageError when the name is taken, OutputError."""
    _check_free(units.name, [listed.entry for listed in list_entries(environ)])
    return write_units(units_folder(environ), units)


def list_entries(environ: Mapping[str, str]) -> list[Listed]:
    """Return what is there, the crontab's first. A machine without crontab has the units alone. Raises StorageError."""
    try:
        lines = find_entries(read_crontab())
    except UsageError:
        lines = []
    return [*(Listed(line, "cron") for line in lines), *(Listed(unit, "systemd") for unit in read_units(units_folder(environ)))]


def remove_named(name: str, environ: Mapping[str, str]) -> list[Listed]:
    """Take away what has that name and return it. Raises UsageError when nothing has."""
    there = list_entries(environ)
    named = [listed for listed in there if listed.entry.name == name]
    if not named:
        names = ", ".join(listed.entry.name for listed in there)
        raise UsageError(f"there is no entry {name!r}", hint=f"There are: {names}." if names else "There is none at all.")
    for kind in {listed.kind for listed in named}:
        if kind == "cron":
            write_crontab(remove_entry(read_crontab(), name))
        else:
            remove_units(units_folder(environ), name)
    return named


def render_entries(environ: Mapping[str, str]) -> str:
    """Return the lines of ours, as they stand in the crontab."""
    return "\n".join(render_line(listed.entry) for listed in list_entries(environ) if listed.kind == "cron")


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
        load_job_file(wish.file, Reading(environ=there, jobs=wish.jobs, check_inputs=False))
    except JobFileError as error:
        told = [f"{mistake.path}: {mistake.message}" for mistake in error.mistakes]
    with suppress(JobFileError):  # What is set nowhere has been told.
        jobs = load_job_file(wish.file, Reading(environ=here, jobs=wish.jobs, check_inputs=False)).selected(wish.jobs)
        told += lacking(jobs, here, there)
    return told


def _plan(wish: Wish) -> tuple[Schedule, list[str]]:
    try:
        schedule = parse_schedule(wish.at)
    except ValueError as error:
        raise UsageError(f"--at {wish.at!r}: {error}", hint='Such as --at "15 2 * * *" (each night at 2:15) or --at @daily.') from error
    if wish.env_file is not None:
        read_environment({}, wish.env_file)
    load_job_file(wish.file, Reading(environ=os.environ, jobs=wish.jobs, check_inputs=False, resolve=False))
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


def _check_free(name: str, there: list[Entry]) -> None:
    if any(entry.name == name for entry in there):
        raise UsageError(f"there is an entry {name!r} already", hint=f"Give this one a --name, or: asyncrun cron remove {name}")
