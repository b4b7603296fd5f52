"""The commands, put together; a command returns its exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from typing import Any

import typer

from asyncrun.cli._commands import build_command, build_commands_of, build_group
from asyncrun.cli._errors import print_refusal, show_error
from asyncrun.cli._options import GlobalOptions
from asyncrun.cli._settings import globals_of, load_config
from asyncrun.errors import UsageError

_ABOUT = """Embed, ingest and query text in bulk.

Example: asyncrun init && asyncrun run"""
_SETTINGS = "Flags have twins: ASYNCRUN_STATE_DIR; then ~/.config/asyncrun/config.toml."

_COMMANDS = ("run", "embed", "plan", "validate", "doctor", "failed", "retry", "export", "init", "schema", "clean", "plugins")
"""A file each, with a function of the same name."""

_GROUPS = {
    "trace": {
        "show": "show",
        "timeline": "timeline",
        "slow": "slow",
        "errors": "errors",
        "diff": "diff",
        "html": "html",
        "export": "export_trace",
        "list": "list_runs",
    },
    "ledger": {"stats": "stats", "export": "export_ledger", "import": "import_ledger"},
    "cron": {"add": "add", "list": "list_entries", "remove": "remove", "print": "print_entries"},
}
"""A file each, with a function for every command, and one of the file's name for the group alone."""


def build_app() -> Any:
    """Return the command line. Its commands are imported and built when they are looked up."""
    commands = {name: partial(build_command, name, name, name) for name in _COMMANDS}
    groups = {name: partial(build_commands_of, name, functions) for name, functions in _GROUPS.items()}
    return build_group("asyncrun", _root, {**commands, **groups}, help=_ABOUT, epilog=_SETTINGS)


def _root(_options: GlobalOptions) -> int:
    raise UsageError("no command given", hint="See asyncrun --help.")


def run_command_line() -> int:
    """Run one command. Returns its exit code; an error becomes one sentence on stderr."""
    try:
        words = sys.argv[1:]
        code = build_app()(words or ["--help"], prog_name="asyncrun", standalone_mode=False) or (0 if words else UsageError.exit_code)
    except SystemExit as ending:
        code = ending.code
    except Exception as error:  # the last place that can turn an error into a sentence
        told = _told_by_typer(error)
        if isinstance(told, UsageError) and _asked("json"):
            return print_refusal(told, sys.stdout)
        return show_error(told, sys.stderr, debug=_asked("debug"))
    return code if isinstance(code, int) else 0


def _asked(flag: str) -> bool:
    """Tell whether a global flag is set, also of a call that could not be read."""
    with suppress(UsageError):  # The first mistake is the one to be told.
        return f"--{flag}" in sys.argv or bool(globals_of(load_config(os.environ), os.environ)[0].get(flag))
    return False


def _told_by_typer(error: Exception) -> Exception:
    """Return what is wrong with the words of a call as an error of ours; any other error as it is."""
    tell = getattr(error, "format_message", None)
    if tell is None:
        return error
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "asyncrun"
    return UsageError(" ".join(str(tell()).replace("Value error, ", "").split()), hint=f"See {command} --help.")
