"""`asyncrun init`: a job file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions


def init(
    options: GlobalOptions,
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="Its name.", show_default="asyncrun.yaml")] = None,
) -> int:
    """Write a job file to start from. It runs as it is; its JSON Schema for editors goes beside it. No file is ever written over.

    Example: asyncrun init && asyncrun run
    """
    from asyncrun.app.init import write_starter
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.cli._requests import DEFAULTS

    path = Path(file or DEFAULTS[0])
    written = write_starter(path, in_the_way=() if file else DEFAULTS)
    if options.json:
        print_document({"schema": 1, "written": [str(each) for each in written]})
    elif not options.quiet:
        print_answer(f"{' and '.join(map(str, written))} written; now: asyncrun run{f' {file}' if file else ''}")
    return 0
