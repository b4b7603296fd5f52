"""Entries that are installed: lines of the crontab and pairs of units, put there, listed and taken away.

A crontab can only be read whole and replaced whole: whoever changes it holds the user's home meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asyncrun.errors import UsageError
from asyncrun.process_locks import hold_folder
from asyncrun.schedule.crontab import Entry, add_entry, find_entries, read_crontab, remove_entry, render_line, write_crontab
from asyncrun.schedule.systemd import Units, home, read_units, remove_units, units_folder, write_units


@dataclass(frozen=True, slots=True)
class InstalledEntry:
    """An entry that is there, and where: `cron` or `systemd`."""

    entry: Entry
    kind: str


def install_entry(entry: Entry, environ: Mapping[str, str]) -> None:
    """Put a line into the user's crontab. Raises UsageError when its name is taken, StorageError when crontab refuses."""
    with hold_folder(home(environ)):
        text = read_crontab()
        if entry in find_entries(text):
            return
        _check_free(entry.name, [*find_entries(text), *read_units(units_folder(environ))])
        write_crontab(add_entry(text, entry))


def install_units(units: Units, environ: Mapping[str, str]) -> list[Path]:
    """Write the units and return their paths. Raises UsageError when the name is taken, OutputError."""
    with hold_folder(home(environ)):
        _check_free(units.name, [listed.entry for listed in installed_entries(environ)])
        return write_units(units_folder(environ), units)


def installed_entries(environ: Mapping[str, str]) -> list[InstalledEntry]:
    """Return what is there, the crontab's first. A machine without crontab has the units alone. Raises StorageError."""
    try:
        lines = find_entries(read_crontab())
    except UsageError:
        lines = []
    return [
        *(InstalledEntry(line, "cron") for line in lines),
        *(InstalledEntry(unit, "systemd") for unit in read_units(units_folder(environ))),
    ]


def remove_installed(name: str, environ: Mapping[str, str]) -> list[InstalledEntry]:
    """Take away what has that name and return it. Raises UsageError when nothing has."""
    with hold_folder(home(environ)):
        there = installed_entries(environ)
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


def render_cron_lines(environ: Mapping[str, str]) -> str:
    """Return the lines of ours, as they stand in the crontab."""
    return "\n".join(render_line(listed.entry) for listed in installed_entries(environ) if listed.kind == "cron")


def _check_free(name: str, there: list[Entry]) -> None:
    if any(entry.name == name for entry in there):
        raise UsageError(f"there is an entry {name!r} already", hint=f"Give this one a --name, or: asyncrun cron remove {name}")
