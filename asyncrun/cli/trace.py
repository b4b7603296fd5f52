"""`asyncrun trace`: recorded runs, and where their time went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncrun.cli._options import Options

FileFlag = Annotated[Path | None, typer.Option("-f", "--file", help="The job file, instead of the nearest .asyncrun upward.")]
RunWord = Annotated[str, typer.Argument(metavar="[RUN]", help="An id, a unique prefix, latest or latest~N.")]


def trace(options: Options, file: FileFlag = None) -> int:
    """Show the trace map and the timing summary of the latest run.

    Example: asyncrun trace
    """
    return show(options, "latest", file)


def show(options: Options, run: RunWord = "latest", file: FileFlag = None) -> int:
    """Show the trace map and the timing summary of a run.

    Example: asyncrun trace show latest~1
    """
    from asyncrun.app.tracing import load_trace, show_document
    from asyncrun.cli._output import print_answer, print_document, width

    found = load_trace(run, file, options.state_dir)
    if options.json:
        print_document(show_document(found), options)
    else:
        print_answer(found.render(width()), options)
    return 0


def list_runs(options: Options, file: FileFlag = None) -> int:
    """List the recorded runs, the latest last.

    Example: asyncrun trace list
    """
    from asyncrun.app.tracing import list_document, load_runs, render_list
    from asyncrun.cli._output import print_answer, print_document, width

    runs = load_runs(file, options.state_dir)
    if options.json:
        print_document(list_document(runs), options)
    else:
        print_answer(render_list(runs, width()), options)
    return 0
