"""The flags that every command takes, declared once: accepted before and after the command's name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

When = Literal["auto", "always", "never"]

FLAGS: dict[str, Any] = {
    "quiet": Annotated[
        bool | None, typer.Option("--quiet", "-q", envvar="ASYNCRUN_QUIET", help="Silence on success; one paragraph on failure.")
    ],
    "verbose": Annotated[
        bool | None, typer.Option("--verbose", "-v", envvar="ASYNCRUN_VERBOSE", help="Name every failed item, and jobs that begin.")
    ],
    "json": Annotated[bool | None, typer.Option("--json", envvar="ASYNCRUN_JSON", help="JSON on stdout, for programs.")],
    "progress": Annotated[When | None, typer.Option(envvar="ASYNCRUN_PROGRESS", help="Show progress.", show_default="auto")],
    "color": Annotated[When | None, typer.Option(envvar="ASYNCRUN_COLOR", help="Use colour.", show_default="auto")],
    "state_dir": Annotated[
        Path | None, typer.Option(envvar="ASYNCRUN_STATE_DIR", help="Keep the state here.", show_default=".asyncrun beside the job file")
    ],
    "env_file": Annotated[
        Path | None, typer.Option(envvar="ASYNCRUN_ENV_FILE", help="Read variables from this file; the real environment wins.")
    ],
    "debug": Annotated[bool | None, typer.Option("--debug", envvar="ASYNCRUN_DEBUG", help="Show the traceback of an error.")],
}
"""None stands for "not given here", so that what stands after the command's name wins over what stands before it."""


@dataclass(frozen=True, slots=True)
class Options:
    """The global flags of one call."""

    quiet: bool = False
    verbose: bool = False
    json: bool = False
    progress: When = "auto"
    color: When = "auto"
    state_dir: Path | None = None
    env_file: Path | None = None
    debug: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where the flags that are given come from: `flag` or `environment`."""

    def given(self, flags: dict[str, Any], sources: Mapping[str, str]) -> Options:
        """Return these options with those flags that are given, and where each comes from."""
        known = {name: value for name, value in flags.items() if value is not None}
        return replace(self, **known, sources={**self.sources, **{name: sources[name] for name in known}})


def with_flags(function: Callable[..., int]) -> Callable[..., None]:
    """Give a command all global flags: it receives them as its first argument, an `Options`, and returns its exit code.

    The function of a group is called only when none of its commands is.
    """
    own = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)
    parameters = [parameter.replace(annotation=hints[name]) for name, parameter in list(own.parameters.items())[1:]]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    flags = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint) for name, hint in FLAGS.items()]

    def command(**arguments: Any) -> None:
        context: typer.Context = arguments.pop("context")
        given = {name: arguments.pop(name) for name in FLAGS}
        options = (context.obj or Options()).given(given, {name: _source(context, name) for name in FLAGS})
        context.obj = options
        if context.invoked_subcommand is None:
            raise typer.Exit(function(options, **arguments))

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    signature = inspect.Signature([context, *parameters, *flags])
    command.__dict__["__signature__"] = signature
    command.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return command


def _source(context: typer.Context, name: str) -> str:
    source = context.get_parameter_source(name)
    return "environment" if source is not None and source.name == "ENVIRONMENT" else "flag"
