"""A run from its request to its exit code, for the commands that run jobs."""

from __future__ import annotations

import gc
import sys
from functools import partial
from typing import TYPE_CHECKING

from asyncrun.cli._error_output import show_error
from asyncrun.cli._options import GlobalOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncrun.app.request import Request
    from asyncrun.app.run import RunReport


def run_and_report(
    request: Request, options: GlobalOptions, *, skip: bool = False, summary_file: Path | None = None, log_file: Path | None = None
) -> int:
    """Run, print how it ended, and return the exit code; a signal is raised again. With `skip` a run that goes on is no error."""
    from asyncrun.aio.stop import raise_again
    from asyncrun.app.run import run_jobs_of
    from asyncrun.cli._output import open_progress, write_summary
    from asyncrun.errors import AsyncrunError, LockedError
    from asyncrun.results import winning_exit_code

    # What the start has made stays: it is not looked through again, in the run and at its end.
    gc.freeze()
    codes = []
    file = request.file if request.text is None else None

    def tell(report: RunReport) -> None:
        if summary_file is not None:
            courteously(write_summary, summary_file, report.result)
        courteously(_print_report, report, options, file)

    def courteously(say: Callable[..., object], *what: object) -> None:
        try:
            say(*what)
        except AsyncrunError as error:
            # How the run ended is said all the same, and one that a signal has ended dies by it.
            codes.append(show_error(error, sys.stderr, debug=options.debug))

    try:
        result = run_jobs_of(request, partial(open_progress, options, log_file=log_file), tell).result
    except LockedError:
        if skip:
            return 0
        raise
    if result.signal is not None:
        raise_again(result.signal)
    return winning_exit_code([result.exit_code, *codes])


def _print_report(report: RunReport, options: GlobalOptions, file: Path | None) -> None:
    from asyncrun.app.recorded_runs import read_trace
    from asyncrun.cli._output import print_answer, print_view, width
    from asyncrun.errors import StorageError, UnknownRunError
    from asyncrun.trace.views.runs import render_end
    from asyncrun.trace.views.styled_text import StyledText
    from asyncrun.ui.run_end import render_ending, render_trouble

    if options.quiet:
        if (trouble := render_trouble(report.result, file)).lines:
            print_view(trouble, options, to_stderr=True, sentences=True)
    elif not options.json and not report.result.jobs:
        print_answer("nothing failed: nothing is sent")
    elif not options.json:
        try:
            view = render_end(*read_trace(report.state, report.result.run_id), width())
        except (StorageError, UnknownRunError):
            # The run has said already that it goes without a trace, or that its trace is partial.
            print_answer("Trace: none of this run.", to_stderr=report.stdout_taken)
        else:
            print_view(view, options, to_stderr=report.stdout_taken)
        ending = StyledText(((), *render_ending(report.result, file).lines))
        print_view(ending, options, to_stderr=report.stdout_taken, sentences=True)
