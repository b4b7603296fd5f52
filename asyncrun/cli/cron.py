"""`asyncrun cron`: job files that run by themselves, by cron or by systemd."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, Words

if TYPE_CHECKING:
    from asyncrun.app.cron import ScheduledRun
    from asyncrun.schedule.entries import InstalledEntry
    from asyncrun.ui.cron_and_plugins import CronRow

At = Annotated[str, typer.Option("--at", metavar="SCHEDULE", help='When, as in a crontab: "15 2 * * *", or @daily.')]
Name = Annotated[str | None, typer.Option("--name", help="What the entry is called.", show_default="the job file's name")]
Jitter = Annotated[str | None, typer.Option("--jitter", metavar="TIME", help="Sleep a random time up to this first, such as 10m.")]
Systemd = Annotated[bool, typer.Option("--systemd", help="A service and a timer of systemd instead of a line of the crontab.")]


def cron(options: GlobalOptions) -> int:
    """Let job files run by themselves. Without a command: the list.

    Example: asyncrun cron
    """
    return list_entries(options)


def add(options: GlobalOptions, words: Words = None, *, at: At, name: Name = None, jitter: Jitter = None, systemd: Systemd = False) -> int:
    """Add a line to your crontab, quiet and with a lock; all that stands there stays as it is. Keys come from --env-file.

    Example: asyncrun cron add jobs.yaml --at "15 2 * * *" --jitter 10m
    """
    from asyncrun.app.cron import missing_under_cron, plan_entry, plan_units
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.schedule import entries
    from asyncrun.schedule.crontab import render_line
    from asyncrun.ui.cron_and_plugins import cron_document, render_enabling
    from asyncrun.ui.formatting import render_warning

    run = _scheduled_run(options, words, at, name, jitter, command="add")
    if systemd:
        units = plan_units(run)
        paths = entries.install_units(units, os.environ)
        done = render_enabling(paths)
    else:
        entry = plan_entry(run)
        entries.install_entry(entry, os.environ)
        done = f"added: {render_line(entry)}"
    if options.json:
        added = units.name if systemd else entry.name
        print_document(cron_document([_row(each) for each in entries.installed_entries(os.environ) if each.entry.name == added]))
    elif not options.quiet:
        print_answer(done)
    for missing in [] if options.quiet else missing_under_cron(run, systemd=systemd):
        print_answer(f"{render_warning(missing)} when it runs by itself; put it into a file for --env-file", to_stderr=True)
    return 0


def print_entries(
    options: GlobalOptions,
    words: Words = None,
    *,
    at: Annotated[str | None, typer.Option("--at", metavar="SCHEDULE", help="Print what `add` would write.")] = None,
    name: Name = None,
    jitter: Jitter = None,
    systemd: Systemd = False,
) -> int:
    """Print what `add` would write with the same flags; without --at, our lines as they stand in your crontab. Changes nothing.

    Example: asyncrun cron print jobs.yaml --at @daily
    """
    from asyncrun.cli._output import print_answer
    from asyncrun.errors import UsageError
    from asyncrun.schedule import entries
    from asyncrun.schedule.crontab import render_line

    if at is None:
        if words or name or jitter or systemd:
            raise UsageError(
                "cron print takes no words and flags without --at", hint='Such as: asyncrun cron print jobs.yaml --at "15 2 * * *"'
            )
        if lines := entries.render_cron_lines(os.environ):
            print_answer(lines)
        return 0
    from asyncrun.app.cron import plan_entry, plan_units

    run = _scheduled_run(options, words, at, name, jitter, command="print")
    if systemd:
        files = plan_units(run).files
        print_answer("\n".join(f"# {file}\n{text}" for file, text in files.items()).rstrip("\n"))
    else:
        print_answer(render_line(plan_entry(run)))
    return 0


def list_entries(options: GlobalOptions) -> int:
    """List what runs by itself: lines of your crontab and timers that `add` has made.

    Example: asyncrun cron list --json
    """
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.schedule import entries
    from asyncrun.ui.cron_and_plugins import cron_document, render_cron_entries

    rows = [_row(listed) for listed in entries.installed_entries(os.environ)]
    if options.json:
        print_document(cron_document(rows))
    else:
        print_answer(render_cron_entries(rows), sentences=True)
    return 0


def remove(options: GlobalOptions, name: Annotated[str, typer.Argument(metavar="NAME", help="As `list` shows it.")]) -> int:
    """Remove an entry that `add` has made, and nothing else.

    Example: asyncrun cron remove nightly
    """
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.schedule import entries
    from asyncrun.ui.cron_and_plugins import cron_document

    removed = entries.remove_installed(name, os.environ)
    if options.json:
        print_document(cron_document([_row(listed) for listed in removed]))
    elif not options.quiet:
        print_answer(f"removed: {name}")
        if any(listed.kind == "systemd" for listed in removed):
            print_answer(f"now: systemctl --user stop asyncrun-{name}.timer && systemctl --user daemon-reload")
    return 0


def _scheduled_run(
    options: GlobalOptions, words: list[str] | None, at: str, name: str | None, jitter: str | None, *, command: str
) -> ScheduledRun:
    from asyncrun.app.cron import ScheduledRun
    from asyncrun.cli._requests import job_file, parse_time

    file, jobs = job_file(words or [], f'cron {command} jobs.yaml --at "{at}"')
    return ScheduledRun(file, at, tuple(jobs), name, parse_time("--jitter", jitter), options.env_file, options.state_dir)


def _row(listed: InstalledEntry) -> CronRow:
    return listed.entry.name, listed.kind, listed.entry.schedule, listed.entry.command
