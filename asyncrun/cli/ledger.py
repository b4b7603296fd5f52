"""`asyncrun ledger`: what is finished, as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.humanize import counted
from asyncrun.state_folder import LEDGER, existing_state_folder, state_file_exists

FileFlag = Annotated[Path | None, typer.Option("-f", "--file", help="The job file, instead of the nearest .asyncrun upward.")]


def ledger(options: GlobalOptions, file: FileFlag = None) -> int:
    """Show and move what is finished. Without a command: its size by space.

    Example: asyncrun ledger
    """
    return stats(options, file)


def stats(options: GlobalOptions, file: FileFlag = None) -> int:
    """Show how large the ledger is, by space.

    Example: asyncrun ledger stats --json
    """
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.ledger.holdings import space_sizes
    from asyncrun.ui.ledger_reports import render_sizes, sizes_document

    path = existing_state_folder(file, options.state_dir) / LEDGER
    sizes = space_sizes(path) if state_file_exists(path) else []
    if options.json:
        print_document(sizes_document(sizes))
    else:
        print_answer(render_sizes(sizes))
    return 0


def export_ledger(
    options: GlobalOptions,
    file: FileFlag = None,
    *,
    output: Annotated[str, typer.Option("-o", "--output", metavar="PATH|-", help="Where it goes: JSON lines.")],
) -> int:
    """Write all finished vectors and answers with their keys to a portable file, without any text that was sent. A run may go on.

    Example: asyncrun ledger export -o finished.jsonl
    """
    from asyncrun.app.ledger_transfer import export_ledger as export
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.cli._requests import check_target
    from asyncrun.ui.run_json import document

    state = existing_state_folder(file, options.state_dir)
    check_target(options, output, state, file)
    vectors, answers = export(state, output)
    if options.json and output != STDOUT:
        print_document(document(vectors=vectors, answers=answers))
    elif not options.quiet:
        print_answer(f"{counted(vectors, 'vector')} and {counted(answers, 'answer')} written", to_stderr=True)
    return 0


def import_ledger(
    options: GlobalOptions,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Portable ledgers, state folders, or outputs (.jsonl, .csv, .parquet) with text and embedding."
        ),
    ],
    *,
    file: Annotated[str | None, typer.Option("-f", "--file", help="The job file.", show_default="asyncrun.yaml or jobs.yaml")] = None,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Whose output a file was: its embedder names the space.")] = None,
) -> int:
    """Take finished vectors and answers in: they are not sent again. All files are checked first; what is finished already stays.

    Example: asyncrun ledger import old/vectors.jsonl -f jobs.yaml --job notes
    """
    from asyncrun.app.ledger_transfer import import_files
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.cli._requests import build_request, only_job_file
    from asyncrun.ui.ledger_reports import imported_document, render_imported

    path = only_job_file(file, "ledger import FILE -f jobs.yaml")
    imported = import_files(build_request(options, path, [job] if job else []), files)
    if options.json:
        print_document(imported_document(imported))
    elif not options.quiet:
        print_answer(render_imported(imported))
    return 0
