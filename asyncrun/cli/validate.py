"""`asyncrun validate`: every mistake of a job file."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, complete_files


def validate(
    options: GlobalOptions,
    file: Annotated[str | None, typer.Argument(metavar="FILE", autocompletion=complete_files, help="The job file.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", show_envvar=False, envvar="ASYNCRUN_STRICT", help="Also resolve variables and look for inputs.")
    ] = False,
) -> int:
    """Check a job file and name every mistake; sends nothing.

    Example: asyncrun validate jobs.yaml
    """
    from asyncrun.app.validate import check_job_file
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.cli._requests import build_request, only_job_file
    from asyncrun.ui.run_json import document

    path = only_job_file(file, "validate jobs.yaml")
    names, remarks = check_job_file(build_request(options, path, []), strict=strict)
    if options.json:
        print_document(document(jobs=names, notes=remarks))
    elif not options.quiet:
        print_answer(f"{path}: {len(names)} {'job' if len(names) == 1 else 'jobs'}, no mistakes")
        for remark in remarks:
            print_answer(remark, to_stderr=True, sentences=True)
    return 0
