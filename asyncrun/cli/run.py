"""`asyncrun run`: the jobs of a file, with what they need; a run from its request to its exit code, for other commands as well."""

from __future__ import annotations

import gc
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, Variables, Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncrun.app.request import Request, WrittenPath
    from asyncrun.app.run import RunReport
    from asyncrun.ports import Progress
    from asyncrun.trace.views.styled_text import StyledText

NoNeeds = Annotated[bool, typer.Option("--no-needs", help="Run only the named jobs, not what they need.")]
Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", show_envvar=False, envvar="ASYNCRUN_WORKERS", help="Batches in flight of each job.")
]
MaxRuntime = Annotated[
    str | None,
    typer.Option(metavar="TIME", show_envvar=False, envvar="ASYNCRUN_MAX_RUNTIME", help="Stop cleanly after it (75), such as 2h."),
]
IfRunning = Annotated[
    str,
    typer.Option(
        metavar="DO",
        show_envvar=False,
        envvar="ASYNCRUN_IF_RUNNING",
        help="Beside another run: fail, skip, wait[=TIME].",
        show_default=False,
    ),
]
FromJob = Annotated[str | None, typer.Option("--from", metavar="JOB", help="Only this job and those that need it.")]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Only N items, into <name>.limit-N.<ext>.")]
ShardFlag = Annotated[str | None, typer.Option("--shard", metavar="I/N", help="Only the part I of N, into <name>.shard-I-of-N.<ext>.")]
Input = Annotated[str | None, typer.Option("--input", metavar="PATH|-", help="Read this instead, with one JOB.")]
Output = Annotated[str | None, typer.Option("--output", metavar="PATH|-", help="Write this instead, with one JOB.")]
MaxCost = Annotated[float | None, typer.Option(min=0, metavar="USD", help="Stop (4) before the call that passes it.")]
MaxDelete = Annotated[str | None, typer.Option(metavar="N|N%", help="How many documents may leave a store.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Make the named jobs again, once.")]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="New model or chunks: fill beside the old, then swap.")]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", show_envvar=False, envvar="ASYNCRUN_FAIL_FAST", help="One failure fails its job, others stop.")
]
Executor = Annotated[
    str | None,
    typer.Option(metavar="NAME", show_envvar=False, envvar="ASYNCRUN_EXECUTOR", help="Where calls run: local, processes, ray."),
]
SummaryFile = Annotated[
    Path | None,
    typer.Option(metavar="PATH", show_envvar=False, envvar="ASYNCRUN_SUMMARY_FILE", help="Write the summary there, too, as JSON."),
]
MetricsFile = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", show_envvar=False, envvar="ASYNCRUN_METRICS_FILE", help="Write the run's figures there, for Prometheus (.prom)."
    ),
]
LogFile = Annotated[
    Path | None, typer.Option(metavar="PATH", show_envvar=False, envvar="ASYNCRUN_LOG_FILE", help="Append the progress there, too.")
]
Handlers = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...", show_envvar=False, envvar="ASYNCRUN_HANDLERS", help="Installed handlers that are told of the run's events."
    ),
]


def run(
    options: GlobalOptions,
    words: Words = None,
    *,
    no_needs: NoNeeds = False,
    var: Variables = None,
    workers: Workers = None,
    max_runtime: MaxRuntime = None,
    if_running: IfRunning = "fail",
    from_job: FromJob = None,
    limit: Limit = None,
    shard: ShardFlag = None,
    input_path: Input = None,
    output_path: Output = None,
    max_cost: MaxCost = None,
    max_delete: MaxDelete = None,
    refresh: Refresh = False,
    rebuild: Rebuild = False,
    fail_fast: FailFast = False,
    executor: Executor = None,
    summary_file: SummaryFile = None,
    metrics_file: MetricsFile = None,
    log_file: LogFile = None,
    handlers: Handlers = None,
) -> int:
    """Run jobs; what is finished is never sent again.

    Example: asyncrun run jobs.yaml ask
    """
    from asyncrun.cli import _requests as given
    from asyncrun.jobs.run_options import RunOptions

    file, jobs = given.job_file(words or [], "run jobs.yaml")
    skip, wait = given.parse_if_running(if_running)
    seconds = given.parse_time("--max-runtime", max_runtime)
    # What a job file says wins over the user config, not over a flag.
    from_config = {name for name in ("workers", "max_runtime") if options.sources.get(name) == "user config"}
    chosen = RunOptions(
        with_needs=not no_needs,
        workers=None if "workers" in from_config else workers,
        max_runtime=None if "max_runtime" in from_config else seconds,
        fallback_workers=workers if "workers" in from_config else None,
        fallback_max_runtime=seconds if "max_runtime" in from_config else None,
        wait_for_lock=wait,
        from_job=from_job,
        limit=limit,
        shard=given.parse_shard(shard),
        input=input_path,
        output=output_path,
        max_cost=max_cost,
        max_delete=given.parse_part("--max-delete", max_delete),
        refresh=refresh,
        rebuild=rebuild,
        fail_fast=fail_fast,
        executor=executor,
        metrics_file=metrics_file,
        handlers=given.parse_names(handlers),
    )
    request = given.build_request(options, file, jobs, var, chosen, written_paths=_written_paths(summary_file, log_file))
    return run_and_report(request, options, skip=skip, summary_file=summary_file, log_file=log_file)


def _written_paths(summary_file: Path | None, log_file: Path | None) -> tuple[WrittenPath, ...]:
    from asyncrun.app.request import WrittenPath

    files = (("--summary-file", summary_file), ("--log-file", log_file))
    return tuple(WrittenPath(flag, str(path)) for flag, path in files if path is not None)


def run_and_report(
    request: Request, options: GlobalOptions, *, skip: bool = False, summary_file: Path | None = None, log_file: Path | None = None
) -> int:
    """Run, print how it ended, and return the exit code; a signal is raised again. With `skip` a run that goes on is no error."""
    from asyncrun.aio.stop import raise_again
    from asyncrun.app.run import run_jobs_of
    from asyncrun.cli._output import show_error, write_summary
    from asyncrun.errors import AsyncrunError, LockedError
    from asyncrun.results import winning_exit_code

    # What the start has made stays: it is not looked through again, in the run and at its end.
    gc.freeze()
    codes = []
    file = request.file if request.text is None else None

    def tell(report: RunReport) -> None:
        if summary_file is not None:
            show_own_error(write_summary, summary_file, report.result)
        show_own_error(_print_report, report, options, file, request)

    def show_own_error(say: Callable[..., object], *what: object) -> None:
        try:
            say(*what)
        except AsyncrunError as error:
            # How the run ended is said all the same, and one that a signal has ended dies by it.
            codes.append(show_error(error, sys.stderr, debug=options.debug))

    try:
        result = run_jobs_of(request, partial(_open_progress, options, log_file=log_file), tell).result
    except LockedError:
        if skip:
            return 0
        raise
    if result.signal is not None:
        raise_again(result.signal)
    return winning_exit_code([result.exit_code, *codes])


def _open_progress(options: GlobalOptions, stdout_taken: bool, *, log_file: Path | None = None) -> Progress:
    """Return the progress that the flags, the streams and the environment call for; JSON goes to stderr when rows go to stdout.

    With a log file it is told everything, too. Raises OutputError when that cannot be opened.
    """
    from asyncrun.clock import SystemClock
    from asyncrun.ui.progress_choice import build_progress, choose_colour, choose_look

    terminal = sys.stderr is not None and sys.stderr.isatty()
    look = choose_look(quiet=options.quiet, json=options.json, progress=options.progress, terminal=terminal, environ=os.environ)
    colour = choose_colour(color=options.color, terminal=terminal, environ=os.environ)
    stdout = sys.stderr if stdout_taken else sys.stdout
    # Where the end of the run is told on the same screen, it has a row for each job, and failures, as the bars have.
    told = stdout is not None and stdout.isatty()
    progress = build_progress(
        look, stdout=stdout, stderr=sys.stderr, clock=SystemClock(), colour=colour, verbose=options.verbose, wiped=told
    )
    if log_file is None:
        return progress
    from asyncrun.ports import CombinedProgress
    from asyncrun.ui.log_file import LogProgress

    return CombinedProgress(progress, LogProgress(log_file, SystemClock()))


def _print_report(report: RunReport, options: GlobalOptions, file: Path | None, request: Request) -> None:
    from asyncrun.cli._output import print_answer, print_view
    from asyncrun.trace.views.styled_text import stack
    from asyncrun.ui.run_end import render_trouble

    if options.quiet:
        if (trouble := render_trouble(report.result, file)).lines:
            print_view(trouble, options, to_stderr=True, sentences=True)
    elif not options.json and not report.result.jobs:
        print_answer("nothing failed: nothing is sent")
    elif not options.json:
        view = stack(_answers(report, request), _end(report, file, whole=options.verbose), gap=1)
        print_view(view, options, to_stderr=report.stdout_taken, sentences=True)


FEW = 5
"""Questions of a job whose answers are shown at the end of the run that has asked them."""


def _answers(report: RunReport, request: Request) -> StyledText:
    """Return the answers of jobs that have asked few questions, with the first of their hits."""
    from asyncrun.cli._output import width
    from asyncrun.jobfile.jobs import job_model
    from asyncrun.trace.views.styled_text import StyledText, stack

    asked = [job for job in report.result.jobs if job_model(job.kind).rows_hold_hits and job.name in report.outputs]
    asked = [job for job in asked if job.counts.cached < job.counts.ok <= FEW and job.exit_code in (0, 3)]
    if not asked or report.stdout_taken:
        return StyledText()
    from itertools import islice

    from asyncrun.app.report import Report
    from asyncrun.errors import AsyncrunError
    from asyncrun.ui.answers import render_answers

    rows = Report(report, request).rows
    try:
        return stack(*(render_answers(islice(rows(job.name), FEW), width()) for job in asked), gap=1)
    except AsyncrunError:
        # They are in a file, and how the run has ended is told all the same.
        return StyledText()


def _end(report: RunReport, file: Path | None, *, whole: bool) -> StyledText:
    """Return what is told of a run: its trace, its jobs, what failed, and the verdict; where there was nothing to do only that."""
    from asyncrun.app.recorded_runs import read_trace
    from asyncrun.cli._output import width
    from asyncrun.errors import StorageError, UnknownRunError
    from asyncrun.trace.critical_path import critical_path, parts_of
    from asyncrun.trace.span_tree import build_forest
    from asyncrun.trace.verdict import time_sinks
    from asyncrun.trace.views.run_end import render_end
    from asyncrun.trace.views.styled_text import StyledText, fit, stack
    from asyncrun.ui.run_end import has_sent_nothing, render_close

    result, columns = report.result, width()
    stream = sys.stderr if report.stdout_taken else sys.stdout
    close = partial(render_close, result, file, columns, whole_failures=whole or not stream.isatty())
    if has_sent_nothing(result) and not whole:
        return StyledText((fit(columns, f"Trace: {result.run_id}"), *close().lines))
    try:
        run, spans = read_trace(report.state, result.run_id)
    except (StorageError, UnknownRunError):
        # The run has said already that it goes without a trace, or that its trace is partial.
        return StyledText((fit(columns, "Trace: none of this run."), *close().lines))
    sinks = time_sinks(parts_of(critical_path(build_forest(spans, details=False))), most=1)
    return stack(render_end(run, spans, columns, whole=whole), close(*sinks), gap=1)
