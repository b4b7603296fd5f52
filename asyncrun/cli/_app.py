"""The commands, put together; a command returns its exit code."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Annotated

import typer

from asyncrun.cli._errors import show_error
from asyncrun.cli._options import Options, with_flags
from asyncrun.cli.clean import clean
from asyncrun.cli.cron import add, cron, list_entries, print_entries, remove
from asyncrun.cli.doctor import doctor
from asyncrun.cli.export import export
from asyncrun.cli.failed import failed
from asyncrun.cli.ledger import export_ledger, import_ledger, ledger, stats
from asyncrun.cli.plan import plan
from asyncrun.cli.retry import retry
from asyncrun.cli.run import run
from asyncrun.cli.trace import diff, errors, export_trace, html, list_runs, show, slow, timeline, trace
from asyncrun.cli.validate import validate
from asyncrun.errors import UsageError


def build_app() -> typer.Typer:
    """Return the command line with all its commands."""
    # Plain help: Typer's Rich help alone doubles the start-up time.
    new_app = partial(typer.Typer, rich_markup_mode=None, pretty_exceptions_enable=False)
    app = new_app(name="asyncrun", no_args_is_help=True, help="Embed, ingest and query text in bulk.")
    app.callback(invoke_without_command=True)(with_flags(_root))
    for command in (run, plan, validate, doctor, failed, retry, export, clean):
        app.command(command.__name__)(with_flags(command))
    traces = new_app(help="Show recorded runs: where the time went.")
    traces.callback(invoke_without_command=True)(with_flags(trace))
    for view in (show, timeline, slow, errors, diff):
        traces.command(view.__name__)(with_flags(view))
    traces.command("html")(with_flags(html))
    traces.command("export")(with_flags(export_trace))
    traces.command("list")(with_flags(list_runs))
    app.add_typer(traces, name="trace")
    ledgers = new_app(help="Show and move what is finished.")
    ledgers.callback(invoke_without_command=True)(with_flags(ledger))
    ledgers.command("stats")(with_flags(stats))
    ledgers.command("export")(with_flags(export_ledger))
    ledgers.command("import")(with_flags(import_ledger))
    app.add_typer(ledgers, name="ledger")
    crons = new_app(help="Let job files run by themselves: cron, or timers of systemd.")
    crons.callback(invoke_without_command=True)(with_flags(cron))
    crons.command("add")(with_flags(add))
    crons.command("list")(with_flags(list_entries))
    crons.command("remove")(with_flags(remove))
    crons.command("print")(with_flags(print_entries))
    app.add_typer(crons, name="cron")
    return app


def _root(_options: Options, version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> int:
    if version:
        from asyncrun import __version__

        typer.echo(f"asyncrun {__version__}")
        return 0
    raise UsageError("no command given", hint="See asyncrun --help.")


def run_command_line() -> int:
    """Run one command. Returns its exit code; an error becomes one sentence on stderr."""
    debug = "--debug" in sys.argv or bool(os.environ.get("ASYNCRUN_DEBUG"))
    try:
        build_app()()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    except Exception as error:  # the last place that can turn an error into a sentence
        return show_error(error, sys.stderr, debug=debug)
    return 0
