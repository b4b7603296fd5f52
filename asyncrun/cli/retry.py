"""`asyncrun retry`: the failed items again, and nothing else."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._arguments import Variables, Words
from asyncrun.cli._options import Options


def retry(
    options: Options,
    words: Words = None,
    *,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="Only this failed item; may be given again.")] = None,
    var: Variables = None,
) -> int:
    """Send the failed items again, and nothing else. The outputs of their jobs are written; one that is fixed leaves the list.

    Example: asyncrun retry jobs.yaml notes --id n-17
    """
    from asyncrun.cli._files import job_file
    from asyncrun.cli._reports import run_and_report
    from asyncrun.cli._requests import build_request

    file, jobs = job_file(words or [], "retry jobs.yaml")
    request = build_request(options, file, jobs, var, with_needs=False, retry=True, ids=frozenset(ids or ()))
    return run_and_report(request, options)
