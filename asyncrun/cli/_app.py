"""The command line: its commands, and how each is put together when it is called for; a command returns its exit code.

Typer takes longer for the flags of them all than most take to run.
"""

from __future__ import annotations

import os
import sys
from collections import UserDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from typing import Any

import typer
import typer.main

from asyncrun.cli._flags_and_completion import FLAGS, GlobalOptions, with_flags
from asyncrun.cli._output import print_refusal, show_error
from asyncrun.cli._settings import globals_of, load_config
from asyncrun.errors import UsageError

_ABOUT = """Embed, ingest and query text in bulk, and ask models about it.

Example: asyncrun init && asyncrun run"""
_SETTINGS = "Flags have twins: ASYNCRUN_STATE_DIR; then ~/.config/asyncrun/config.toml."

_COMMANDS = ("run", "embed", "generate", "plan", "validate", "doctor", "failed", "retry", "export", "init", "schema", "clean", "plugins")
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
        "serve": "serve",
    },
    "ledger": {"stats": "stats", "export": "export_ledger", "import": "import_ledger"},
    "batches": {"list": "list_batches", "cancel": "cancel"},
    "store": {
        "list": "list_collections",
        "stats": "stats",
        "search": "search",
        "export": "export_collection",
        "copy": "copy",
        "rollback": "rollback",
    },
    "cron": {"add": "add", "list": "list_entries", "remove": "remove", "print": "print_entries"},
}
"""A file each, with a function for every command, and one of the file's name for the group alone."""


# Plain help: Typer's Rich help alone doubles the start-up time.
_plain_typer = partial(typer.Typer, rich_markup_mode=None, pretty_exceptions_enable=False, add_help_option=False)


SHARED_FLAGS_NOTE = "All commands take --quiet, --json, --state-dir and more: see asyncrun --help."
"""Stands below the help of a command in the place of the flags that all of them take: they would fill half a screen each time."""


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
        told = _as_our_error(error)
        if isinstance(told, UsageError) and _is_set("json"):
            return print_refusal(told, sys.stdout)
        return show_error(told, sys.stderr, debug=_is_set("debug"))
    return code if isinstance(code, int) else 0


def _is_set(flag: str) -> bool:
    """Tell whether a global flag is set, also of a call that could not be read."""
    with suppress(UsageError):  # The first mistake is the one to be told.
        return f"--{flag}" in sys.argv or bool(globals_of(load_config(os.environ), os.environ)[0].get(flag))
    return False


def _as_our_error(error: Exception) -> Exception:
    """Return what is wrong with the words of a call as an error of ours; any other error as it is."""
    tell = getattr(error, "format_message", None)
    if tell is None:
        return error
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "asyncrun"
    return UsageError(" ".join(str(tell()).replace("Value error, ", "").split()), hint=f"See {command} --help.")


class Commands(UserDict[str, Any]):
    """Typer's commands by their names, made of what builds them: each is built when it is first looked up."""

    def __getitem__(self, name: str) -> Any:
        return self.data[name]()


def build_command(file: str, function: str, name: str) -> Any:
    """Return Typer's command of this name: a function in a file of this package."""
    app = _plain_typer(add_completion=False)
    app.command(name, add_help_option=False, epilog=SHARED_FLAGS_NOTE)(with_flags(_load(file, function)))
    return _hide_shared_flags(_skip_unread_values(typer.main.get_command(app)))


def build_commands_of(file: str, functions: Mapping[str, str]) -> Any:
    """Return Typer's group of the functions in a file, by the names of their commands; alone, it is the function of the file's name."""
    builders = {name: partial(build_command, file, function, name) for name, function in functions.items()}
    return _hide_shared_flags(build_group(file, _load(file, file), builders, add_completion=False, epilog=SHARED_FLAGS_NOTE))


def build_group(name: str, alone: Callable[..., int], builders: Mapping[str, Callable[[], Any]], **about: Any) -> Any:
    """Return Typer's group of the commands that are to be built; `alone` is called where none of them is."""
    app = _plain_typer(name=name, **about)
    app.callback(invoke_without_command=True)(with_flags(alone))
    group: Any = typer.main.get_command(app)
    group.commands = Commands({name: cache(build) for name, build in builders.items()})
    return _skip_unread_values(group)


def _load(file: str, function: str) -> Callable[..., int]:
    loaded: Callable[..., int] = getattr(import_module(f"asyncrun.cli.{file}"), function)
    return loaded


def _hide_shared_flags(command: Any) -> Any:
    """Return Typer's command, which then has no line of help for a flag that all commands take; it is still completed."""
    for parameter in command.params:
        if parameter.name in {*FLAGS, "version"}:
            parameter.get_help_record = _no_help_line
    return command


def _no_help_line(_: typer.Context) -> None:
    return None


def _skip_unread_values(command: Any) -> Any:
    """Return Typer's command, which then reads only what needs it: it loads pydantic to read even what is not given."""
    for parameter in command.params:
        parameter.process_value = partial(_process_value, parameter, parameter.process_value)
    return command


def _process_value(parameter: Any, read: Callable[..., Any], context: typer.Context, value: Any) -> Any:
    if value is parameter.default and not parameter.required:
        return value
    if isinstance(value, str) and _wanted(parameter) is str:
        return value
    return read(context, value)


def _wanted(parameter: Any) -> Any:
    # Typer before 0.29 knows no descriptor, and no pydantic.
    return getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
