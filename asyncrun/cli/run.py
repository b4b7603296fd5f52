"""`asyncrun run`: the jobs of a file, with what they need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncrun.cli._options import Options


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
    from_job: Annotated[str | None, typer.Option("--from", metavar="JOB", help="Run this job and those that need it, no others.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N items, into outputs of their own; no store.")
    ] = None,
    input_path: Annotated[str | None, typer.Option("--input", metavar="PATH|-", help="Read this instead, with one JOB.")] = None,
    output_path: Annotated[str | None, typer.Option("--output", metavar="PATH|-", help="Write this instead, with one JOB.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, metavar="USD", help="Stop (4) before the call that would pass it.")] = None,
    max_delete: Annotated[str | None, typer.Option(metavar="N|N%", help="So many documents may leave a store in this run.")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Make the named jobs again, once.")] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", envvar="ASYNCRUN_FAIL_FAST", help="Any failure fails its job, and stops the others.")
    ] = False,
    summary_file: Annotated[
        Path | None, typer.Option(envvar="ASYNCRUN_SUMMARY_FILE", help="Write the summary as JSON to this file, too.")
    ] = None,
    log_file: Annotated[Path | None, typer.Option(envvar="ASYNCRUN_LOG_FILE", help="Append the progress to this file, too.")] = None,
) -> int:
    """Run jobs; what is finished is never sent again.

    Example: asyncrun run jobs.yaml ask
    """
    from asyncrun.cli._files import job_file
    from asyncrun.cli._reports import run_and_report
    from asyncrun.cli._requests import build_request, parse_if_running, parse_part, parse_time

    file, jobs = job_file(words or [])
    skip, patience = parse_if_running(if_running)
    request = build_request(
        options,
        file,
        jobs,
        var,
        with_needs=not no_needs,
        workers=workers,
        max_runtime=parse_time("--max-runtime", max_runtime),
        wait_for_lock=patience,
        from_job=from_job,
        limit=limit,
        input=input_path,
        output=output_path,
        max_cost=max_cost,
        max_delete=parse_part("--max-delete", max_delete),
        refresh=refresh,
        fail_fast=fail_fast,
    )
    return run_and_report(request, options, skip=skip, summary_file=summary_file, log_file=log_file)
