"""The commands, put together; a command returns its exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial

import typer

from asyncrun.cli._errors import show_error
from asyncrun.cli._options import Options, with_flags
from asyncrun.cli._settings import globals_of, load_config
from asyncrun.cli.clean import clean
from asyncrun.cli.cron import add, cron, list_entries, print_entries, remove
from asyncrun.cli.doctor import doctor
from asyncrun.cli.embed import embed
from asyncrun.cli.export import export
from asyncrun.cli.failed import failed
from asyncrun.cli.init import init
from asyncrun.cli.ledger import export_ledger, import_ledger, ledger, stats
from asyncrun.cli.plan import plan
from asyncrun.cli.plugins import plugins
from asyncrun.cli.retry import retry
from asyncrun.cli.run import run
from asyncrun.cli.schema import schema
from asyncrun.cli.trace import diff, errors, export_trace, html, list_runs, show, slow, timeline, trace
from asyncrun.cli.validate import validate
from asyncrun.errors import UsageError

_ABOUT = """Embed, ingest and query text in bulk.

Example: asyncrun init && asyncrun run"""
_SETTINGS = "Flags have twins: ASYNCRUN_STATE_DIR; then ~/.config/asyncrun/config.toml."


def build_app() -> typer.Typer:
    """Return the command line with all its commands."""
    # Plain help: Typer's Rich help alone doubles the start-up time.
    new_app = partial(typer.Typer, rich_markup_mode=None, pretty_exceptions_enable=False, add_help_option=False)
    app = new_app(name="asyncrun", help=_ABOUT, epilog=_SETTINGS)
    app.callback(invoke_without_command=True)(with_flags(_root))
    for command in (run, embed, plan, validate, doctor, failed, retry, export, init, schema, clean, plugins):
        app.command(command.__name__, add_help_option=False)(with_flags(command))
    traces = new_app()
    traces.callback(invoke_without_command=True)(with_flags(trace))
    for view in (show, timeline, slow, errors, diff):
        traces.command(view.__name__, add_help_option=False)(with_flags(view))
    traces.command("html", add_help_option=False)(with_flags(html))
    traces.command("export", add_help_option=False)(with_flags(export_trace))
    traces.command("list", add_help_option=False)(with_flags(list_runs))
    app.add_typer(traces, name="trace")
    ledgers = new_app()
    ledgers.callback(invoke_without_command=True)(with_flags(ledger))
    ledgers.command("stats", add_help_option=False)(with_flags(stats))
    ledgers.command("export", add_help_option=False)(with_flags(export_ledger))
    ledgers.command("import", add_help_option=False)(with_flags(import_ledger))
    app.add_typer(ledgers, name="ledger")
    crons = new_app()
    crons.callback(invoke_without_command=True)(with_flags(cron))
    crons.command("add", add_help_option=False)(with_flags(add))
    crons.command("list", add_help_option=False)(with_flags(list_entries))
    crons.command("remove", add_help_option=False)(with_flags(remove))
    crons.command("print", add_help_option=False)(with_flags(print_entries))
    app.add_typer(crons, name="cron")
    return app


def _root(_options: Options) -> int:
    raise UsageError("no command given", hint="See asyncrun --help.")


def run_command_line() -> int:
    """Run one command. Returns its exit code; an error becomes one sentence on stderr."""
    try:
        words = sys.argv[1:]
        code = build_app()(words or ["--help"], prog_name="asyncrun", standalone_mode=False) or (0 if words else UsageError.exit_code)
    except SystemExit as ending:
        code = ending.code
    except Exception as error:  # the last place that can turn an error into a sentence
        return show_error(_told_by_typer(error), sys.stderr, debug=_debugging())
    return code if isinstance(code, int) else 0


def _debugging() -> bool:
    with suppress(UsageError):  # The first mistake is the one to be told.
        return "--debug" in sys.argv or bool(globals_of(load_config(os.environ), os.environ)[0].get("debug"))
    return False


def _told_by_typer(error: Exception) -> Exception:
    """Return what is wrong with the words of a call as an error of ours; any other error as it is."""
    tell = getattr(error, "format_message", None)
    if tell is None:
        return error
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "asyncrun"
    return UsageError(" ".join(str(tell()).replace("Value error, ", "").split()), hint=f"See {command} --help.")
