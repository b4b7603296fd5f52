"""`asyncrun run`: the jobs of a file, with what they need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncrun.cli._arguments import Variables, Words
from asyncrun.cli._options import GlobalOptions

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
Input = Annotated[str | None, typer.Option("--input", metavar="PATH|-", help="Read this instead, with one JOB.")]
Output = Annotated[str | None, typer.Option("--output", metavar="PATH|-", help="Write this instead, with one JOB.")]
MaxCost = Annotated[float | None, typer.Option(min=0, metavar="USD", help="Stop (4) before the call that passes it.")]
MaxDelete = Annotated[str | None, typer.Option(metavar="N|N%", help="How many documents may leave a store.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Make the named jobs again, once.")]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="Fill collections anew for another embedder; not yet.")]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", show_envvar=False, envvar="ASYNCRUN_FAIL_FAST", help="One failure fails its job, others stop.")
]
Executor = Annotated[
    str | None,
    typer.Option(metavar="NAME", show_envvar=False, envvar="ASYNCRUN_EXECUTOR", help="Where jobs run: local; ray not yet."),
]
SummaryFile = Annotated[
    Path | None,
    typer.Option(metavar="PATH", show_envvar=False, envvar="ASYNCRUN_SUMMARY_FILE", help="Write the summary there, too, as JSON."),
]
LogFile = Annotated[
    Path | None, typer.Option(metavar="PATH", show_envvar=False, envvar="ASYNCRUN_LOG_FILE", help="Append the progress there, too.")
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
    input_path: Input = None,
    output_path: Output = None,
    max_cost: MaxCost = None,
    max_delete: MaxDelete = None,
    refresh: Refresh = False,
    rebuild: Rebuild = False,
    fail_fast: FailFast = False,
    executor: Executor = None,
    summary_file: SummaryFile = None,
    log_file: LogFile = None,
) -> int:
    """Run jobs; what is finished is never sent again.

    Example: asyncrun run jobs.yaml ask
    """
    from asyncrun.app.request import WrittenPath
    from asyncrun.cli._reports import run_and_report
    from asyncrun.cli._requests import build_request, job_file, parse_if_running, parse_part, parse_time, refuse_later
    from asyncrun.jobs.run_options import RunOptions

    refuse_later(rebuild=rebuild, executor=executor)
    file, jobs = job_file(words or [], "run jobs.yaml")
    skip, wait = parse_if_running(if_running)
    seconds = parse_time("--max-runtime", max_runtime)
    # What a job file says wins over the user config, not over a flag.
    spare = {name for name in ("workers", "max_runtime") if options.sources.get(name) == "user config"}
    files = {"--summary-file": summary_file, "--log-file": log_file}
    chosen = RunOptions(
        with_needs=not no_needs,
        workers=None if "workers" in spare else workers,
        max_runtime=None if "max_runtime" in spare else seconds,
        spare_workers=workers if "workers" in spare else None,
        spare_max_runtime=seconds if "max_runtime" in spare else None,
        wait_for_lock=wait,
        from_job=from_job,
        limit=limit,
        input=input_path,
        output=output_path,
        max_cost=max_cost,
        max_delete=parse_part("--max-delete", max_delete),
        refresh=refresh,
        fail_fast=fail_fast,
    )
    written_paths = tuple(WrittenPath(flag, str(path)) for flag, path in files.items() if path is not None)
    request = build_request(options, file, jobs, var, chosen, written_paths=written_paths)
    return run_and_report(request, options, skip=skip, summary_file=summary_file, log_file=log_file)
