"""`asyncrun retry`: the failed items again, and nothing else."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, Variables, Words
from asyncrun.cli.run import Handlers


def retry(
    options: GlobalOptions,
    words: Words = None,
    *,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="Only this failed item; may be given again.")] = None,
    var: Variables = None,
    handlers: Handlers = None,
) -> int:
    """Send the failed items again, and nothing else. The outputs of their jobs are written; one that is fixed leaves the list.

    Example: asyncrun retry jobs.yaml notes --id n-17
    """
    from asyncrun.cli._requests import build_request, job_file, parse_names
    from asyncrun.cli.run import run_and_report
    from asyncrun.jobs.run_options import Retry, RunOptions

    file, jobs = job_file(words or [], "retry jobs.yaml")
    chosen = RunOptions(with_needs=False, retry=Retry(frozenset(ids or ())), handlers=parse_names(handlers))
    request = build_request(options, file, jobs, var, chosen)
    return run_and_report(request, options)
