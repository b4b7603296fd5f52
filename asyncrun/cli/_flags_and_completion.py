"""The flags that every command takes, before and after its name, the words that several take, and tab completion.

Where something is in the way of a completion it offers nothing: nobody reads an error there.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from asyncrun.cli._settings import globals_of, load_config
from asyncrun.errors import AsyncrunError

When = Literal["auto", "always", "never"]


def _path(text: str) -> Path:
    """Return a path; no text at all, as from a variable that is not set, would be the working directory."""
    if not text:
        raise typer.BadParameter("no path is given")
    return Path(text)


FLAGS: dict[str, Any] = {
    "quiet": Annotated[bool | None, typer.Option("--quiet", "-q", help="Silence on success; one paragraph on failure.")],
    "verbose": Annotated[bool | None, typer.Option("--verbose", "-v", help="Name every failed item, and jobs that begin.")],
    "json": Annotated[bool | None, typer.Option("--json", help="JSON on stdout, for programs.")],
    "progress": Annotated[When | None, typer.Option(metavar="WHEN", help="Show progress: auto, always, never.")],
    "color": Annotated[When | None, typer.Option(metavar="WHEN", help="Use colour: auto, always, never.")],
    "state_dir": Annotated[Path | None, typer.Option(metavar="PATH", parser=_path, help="Instead of .asyncrun beside the file.")],
    "env_file": Annotated[Path | None, typer.Option(metavar="PATH", parser=_path, help="Variables; the environment wins over them.")],
    "debug": Annotated[bool | None, typer.Option("--debug", help="Show the traceback of an error.")],
}
"""None stands for "not given here", so that what stands after the command's name wins over what stands before it."""


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """The global flags of one call.

    `sources` says where each setting comes from that is not the default: `flag`, `environment` or `user config`.
    """

    quiet: bool = False
    verbose: bool = False
    json: bool = False
    progress: When = "auto"
    color: When = "auto"
    state_dir: Path | None = None
    env_file: Path | None = None
    debug: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)

    def given(self, flags: Mapping[str, Any], sources: Mapping[str, str]) -> GlobalOptions:
        """Return these options with those flags that are given, and where each comes from."""
        return replace(self, **flags, sources={**self.sources, **sources})


def with_flags(function: Callable[..., int]) -> Callable[..., None]:
    """Give a command all global flags: it receives them as its first argument, a `GlobalOptions`, and returns its exit code.

    The function of a group is called only when none of its commands is.
    """
    own = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)
    parameters = [parameter.replace(annotation=hints[name]) for name, parameter in list(own.parameters.items())[1:]]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    shared = {**FLAGS, **_ANSWERING_FLAGS}
    flags = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint) for name, hint in shared.items()]

    def command(**arguments: Any) -> None:
        context: typer.Context = arguments.pop("context")
        for name in _ANSWERING_FLAGS:
            arguments.pop(name)
        given = {name: value for name in FLAGS if (value := arguments.pop(name)) is not None}
        sources = {name: source for name in (*given, *arguments) if (source := _source(context, name)) is not None}
        options = (context.obj or _options_of_settings(context)).given(given, sources)
        context.obj = options
        if context.invoked_subcommand is None:
            raise typer.Exit(function(options, **arguments))

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    signature = inspect.Signature([context, *parameters, *flags])
    command.__dict__["__signature__"] = signature
    command.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return command


def _options_of_settings(context: typer.Context) -> GlobalOptions:
    """Return the options that no flag has touched yet: the environment over the user config; the commands' own settings get theirs, too."""
    config = load_config(os.environ)
    # Typer asks the variable of a command's own flag first, and this last.
    context.default_map = config.for_commands()
    values, sources = globals_of(config, os.environ)
    return GlobalOptions().given(values, sources)


def _source(context: typer.Context, name: str) -> str | None:
    source = context.get_parameter_source(name)
    return _SOURCES.get(source.name) if source is not None else None


_SOURCES = {"COMMANDLINE": "flag", "ENVIRONMENT": "environment", "DEFAULT_MAP": "user config"}


def _print_version(value: bool | None) -> None:
    if value:
        from asyncrun import __version__

        _print_and_exit(f"asyncrun {__version__}")


def _print_help(context: typer.Context, value: bool | None) -> None:
    if value and not context.resilient_parsing:
        _print_and_exit(context.get_help())


def _print_and_exit(text: str) -> None:
    """Write an answer and end. Raises StorageError where it cannot be written, which Typer's own flags do not know."""
    import sys

    from asyncrun.streams import OutputStream

    OutputStream(sys.stdout, answer=True).line(text)
    raise typer.Exit


_ANSWERING_FLAGS: dict[str, Any] = {
    "version": Annotated[bool | None, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version.")],
    "help": Annotated[bool | None, typer.Option("--help", "-h", is_eager=True, callback=_print_help, help="Show this.")],
}
"""The flags that answer by themselves."""


def complete_words(context: typer.Context, incomplete: str) -> list[str]:
    """Return the job files of the folder for the first word, and the jobs of the file that is meant."""
    from asyncrun.cli._requests import job_file
    from asyncrun.jobfile.files import read_job_names

    words = [word for word in context.params.get("words") or () if word]
    found = [] if words else complete_files(incomplete)
    with suppress(AsyncrunError, OSError):
        file, chosen = job_file(words)
        found += [name for name in read_job_names(file) if name.startswith(incomplete) and name not in chosen]
    return found


def complete_files(incomplete: str) -> list[str]:
    """Return the YAML files of the folder."""
    with suppress(OSError):
        return sorted(path.name for path in Path().glob("*.y*ml") if path.name.startswith(incomplete) and path.suffix in (".yaml", ".yml"))
    return []


def complete_stores(context: typer.Context, incomplete: str) -> list[str]:
    """Return the stores of the job file that is meant, and the database files of the folder."""
    from asyncrun.cli._requests import only_job_file
    from asyncrun.jobfile.files import read_store_names

    found: list[str] = []
    with suppress(AsyncrunError, OSError):
        stated = context.params.get("file")
        found += read_store_names(only_job_file(None if stated is None else str(stated), ""))
    with suppress(OSError):
        found += sorted(path.name for path in Path().glob("*.db"))
    return [name for name in found if name.startswith(incomplete)]


def complete_runs(incomplete: str) -> list[str]:
    """Return `latest` and the ids of the recorded runs that the nearest state folder holds, the latest first."""
    found = ["latest"] if "latest".startswith(incomplete) else []
    with suppress(AsyncrunError, OSError):
        from asyncrun.app.recorded_runs import select_runs
        from asyncrun.clock import SystemClock
        from asyncrun.state_folder import existing_state_folder

        runs = select_runs(existing_state_folder(None, None), SystemClock().now())
        found += [run.run_id for run in runs if run.run_id.startswith(incomplete)]
    return found


Words = Annotated[
    list[str] | None, typer.Argument(metavar="FILE JOB", autocompletion=complete_words, help="The job file, and which of its jobs.")
]
Variables = Annotated[list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Set a variable of the job file.")]
