"""`asyncrun trace`: recorded runs, and where their time went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncrun.cli._options import Options

FileFlag = Annotated[Path | None, typer.Option("-f", "--file", help="The job file, instead of the nearest .asyncrun upward.")]
RunWord = Annotated[str, typer.Argument(metavar="[RUN]", help="An id, a unique prefix, latest or latest~N.")]


def trace(options: Options, file: FileFlag = None) -> int:
    """Show recorded runs: where the time went. Without a command: the latest run.

    Example: asyncrun trace
    """
    return show(options, "latest", file)


def show(options: Options, run: RunWord = "latest", file: FileFlag = None) -> int:
    """Show the trace map and the timing summary of a run.

    Example: asyncrun trace show latest~1
    """
    from asyncrun.app import tracing
    from asyncrun.cli._output import print_answer, print_document, width

    state = tracing.traced_folder(file, options.state_dir)
    if options.json:
        print_document(tracing.describe_trace(state, run), options)
    else:
        print_answer(tracing.render_trace(state, run, width()), options)
    return 0


def list_runs(options: Options, file: FileFlag = None) -> int:
    """List the recorded runs, the latest first.

    Example: asyncrun trace list
    """
    from asyncrun.app import tracing
    from asyncrun.cli._output import print_answer, print_document, width

    state = tracing.traced_folder(file, options.state_dir)
    if options.json:
        print_document(tracing.describe_trace_list(state), options)
    else:
        print_answer(tracing.render_trace_list(state, width()), options)
    return 0
