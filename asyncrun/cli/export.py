"""`asyncrun export`: the rows that are done now."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, complete_words
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.humanize import counted


def export(
    options: GlobalOptions,
    words: Annotated[list[str], typer.Argument(metavar="FILE JOB", autocompletion=complete_words, help="The job file, and the job.")],
    *,
    output: Annotated[str, typer.Option("-o", "--output", metavar="PATH|-", help="Where the rows go.")],
) -> int:
    """Write the rows that a job has by now (embed, generate, query). Also while a run goes on; sends nothing; exits 3 if rows are missing.

    Example: asyncrun export jobs.yaml notes -o so-far.jsonl
    """
    from asyncrun.app.export import export_rows
    from asyncrun.app.request import WrittenPath
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.cli._requests import build_request, job_file
    from asyncrun.jobs.run_options import RunOptions
    from asyncrun.ui.run_json import document

    file, jobs = job_file(words, "export jobs.yaml JOB -o FILE")
    written_paths = (WrittenPath("--output", output, jobs[0]),) if len(jobs) == 1 else ()
    counts = export_rows(build_request(options, file, jobs, run=RunOptions(with_needs=False), written_paths=written_paths), output)
    missing = counts.items - counts.skipped - counts.ok
    if options.json and output != STDOUT:
        print_document(document(rows=counts.ok, missing=missing))
    elif not options.quiet:
        print_answer(f"{counted(counts.ok, 'row')} written, {missing:,} missing", to_stderr=True)
    return 3 if missing else 0
