"""`asyncrun run`: the jobs of a file, with what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from asyncrun.cli._options import Options

if TYPE_CHECKING:
    from asyncrun.app.running import RunReport


def run(
    options: Options,
    words: Annotated[list[str] | None, typer.Argument(metavar="FILE JOB", help="The job file, and which of its jobs.")] = None,
    no_needs: Annotated[bool, typer.Option("--no-needs", help="Run only the named jobs, not what they need.")] = False,
    var: Annotated[list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Set a variable of the job file.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, envvar="ASYNCRUN_WORKERS", help="Batches in flight of each job.")] = None,
) -> int:
    """Run jobs; what is finished is never sent again.

    Example: asyncrun run jobs.yaml ask
    """
    from functools import partial

    from asyncrun.aio.signals import raise_again
    from asyncrun.app.running import run_jobs_of
    from asyncrun.cli._files import job_file
    from asyncrun.cli._output import open_progress
    from asyncrun.cli._requests import build_request

    file, jobs = job_file(words or [])
    request = build_request(options, file, jobs, var, with_needs=not no_needs, workers=workers)
    report = run_jobs_of(request, partial(open_progress, options))
    _print_report(report, options)
    if report.result.signal is not None:
        raise_again(report.result.signal)
    return report.result.exit_code


def _print_report(report: RunReport, options: Options) -> None:
    from asyncrun.app.tracing import render_end_of_run
    from asyncrun.cli._output import print_answer, width
    from asyncrun.ui.ending import render_ending, render_trouble

    if options.quiet:
        if trouble := render_trouble(report.result):
            print_answer(trouble, options, to_stderr=True)
    elif not options.json:
        trace = render_end_of_run(report.state, report.result.run_id, width())
        print_answer(f"{trace}\n\n{render_ending(report.result)}", options, to_stderr=report.stdout_taken)
