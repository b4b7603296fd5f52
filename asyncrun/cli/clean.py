"""`asyncrun clean`: what is not needed any more goes."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, complete_files


def clean(
    options: GlobalOptions,
    file: Annotated[str | None, typer.Argument(metavar="FILE", autocompletion=complete_files, help="The job file.")] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="TIME", help="Remove traces older than this, such as 30d.", show_default="trace.keep"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> int:
    """Remove old traces, and what no job file here uses. That is vectors, answers and former generations; variables count as set now.

    Example: asyncrun clean jobs.yaml --older-than 7d --dry-run
    """
    from asyncrun.app.clean import clean_folder
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.cli._requests import build_request, only_job_file, parse_time
    from asyncrun.ui.ledger_reports import cleaning_document, render_cleaning

    path = only_job_file(file, "clean jobs.yaml")
    seconds = parse_time("--older-than", older_than)
    cleaned = clean_folder(build_request(options, path, []), seconds, dry_run=dry_run)
    if options.json:
        print_document(cleaning_document(cleaned))
    elif not options.quiet:
        print_answer(render_cleaning(cleaned))
    return 0
