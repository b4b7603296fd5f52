"""`asyncrun failed`: which items failed, where they stand, and why."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, Words


def failed(
    options: GlobalOptions,
    words: Words = None,
    *,
    ids: Annotated[bool, typer.Option("--ids", help="Only the ids, one a line: a skip file.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if there is anything.")] = False,
) -> int:
    """List the items that failed in the last run of each job. A program gets a line each, with tabs between.

    Example: asyncrun failed jobs.yaml --ids > known-bad.txt
    """
    from asyncrun.app.failed import failed_items
    from asyncrun.cli._output import print_answer, print_document, width
    from asyncrun.cli._requests import build_request, job_file
    from asyncrun.grammar.file_formats import id_line
    from asyncrun.jobs.run_options import RunOptions
    from asyncrun.ui.advice import advise
    from asyncrun.ui.failed_items import failed_document, render_failed

    file, jobs = job_file(words or [], "failed jobs.yaml")
    found = failed_items(build_request(options, file, jobs, run=RunOptions(with_needs=False)))
    if options.json:
        print_document(failed_document(found))
    elif ids:
        if found:
            print_answer("\n".join(id_line(failure.id) for _, failure in found))
    elif not options.quiet:
        print_answer(render_failed(found, width() if sys.stdout.isatty() else None))
        if helps := advise((failure.reason for _, failure in found), f" {shlex.quote(str(file))}"):
            print_answer("\n".join(["What helps:", *helps]), to_stderr=True, sentences=True)
    return int(check and bool(found))
