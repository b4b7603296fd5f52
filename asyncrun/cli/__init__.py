"""The command line: one file a command; the only room that knows Typer."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        # The commonest question of a script gets its answer without loading anything.
        from asyncrun import __version__

        print(f"asyncrun {__version__}")  # noqa: T201  # the only print: nothing else is loaded yet
        return
    from asyncrun.cli._app import run_command_line

    sys.exit(run_command_line())
