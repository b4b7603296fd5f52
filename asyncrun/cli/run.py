"""`asyncrun run`: the jobs of a file, with what they need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncrun.cli._options import Options

if TYPE_CHECKING:
    from asyncrun.app.running import RunReport


def run(
    options: Options,
    words: Annotated[list[str] | None, typer.Argument(metavar="FILE JOB", help="The job file, and which of its jobs.")] = None,
    *,
    no_needs: Annotated[bool, typer.Option("--no-needs", help="Run only the named jobs, not what they need.")] = False,
    var: Annotated[list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Set a variable of the job file.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, envvar="ASYNCRUN_WORKERS", help="Batches in flight of each job.")] = None,
    max_runtime: Annotated[
        str | None, typer.Option(metavar="TIME", envvar="ASYNCRUN_MAX_RUNTIME", help="Stop cleanly after this time (75), such as 2h.")
    ] = None,
    if_running: Annotated[
        str, typer.Option(metavar="fail|skip|wait[=TIME]", envvar="ASYNCRUN_IF_RUNNING", help="When another run of the file goes on.")
    ] = "fail",
    summary_file: Annotated[
        Path | None, typer.Option(envvar="ASYNCRUN_SUMMARY_FILE", help="Write the summary as JSON to this file, too.")
    ] = None,
) -> int:
    """Run jobs; what is finished is never sent again.

    Example: asyncrun run jobs.yaml ask
    """
    from functools import partial

    from asyncrun.aio.signals import raise_again
    from asyncrun.app.running import run_jobs_of
    from asyncrun.cli._files import job_file
    from asyncrun.cli._output import open_progress, write_summary
    from asyncrun.cli._requests import build_request, parse_if_running, parse_time
    from asyncrun.errors import LockedError

    file, jobs = job_file(words or [])
    skip, patience = parse_if_running(if_running)
    seconds = parse_time("--max-runtime", max_runtime)
    request = build_request(options, file, jobs, var, with_needs=not no_needs, workers=workers, max_runtime=seconds, wait_for_lock=patience)
    try:
        report = run_jobs_of(request, partial(open_progress, options))
    except LockedError:
        if skip:
            return 0
        raise
    if summary_file is not None:
        write_summary(summary_file, report.result)
    _print_report(report, options)
    if report.result.signal is not None:
        raise_again(report.result.signal)
    return report.result.exit_code


def _print_report(report: RunReport, options: Options) -> None:
    from asyncrun.app.tracing import render_end_of_run
    from asyncrun.cli._output import print_answer, width
    from asyncrun.errors import StorageError
    from asyncrun.ui.ending import render_ending, render_trouble

    if options.quiet:
        if trouble := render_trouble(report.result):
            print_answer(trouble, options, to_stderr=True)
    elif not options.json:
        try:
            trace = render_end_of_run(report.state, report.result.run_id, width())
        except StorageError:
            # The run has said already that it goes without a trace, or that its trace is partial.
            trace = "Trace: none of this run."
        print_answer(f"{trace}\n\n{render_ending(report.result)}", options, to_stderr=report.stdout_taken)
