"""`asyncrun init`: a job file, or a plugin, to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions


def init(
    options: GlobalOptions,
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="Its name.", show_default="asyncrun.yaml")] = None,
    *,
    plugin: Annotated[str | None, typer.Option("--plugin", metavar="NAME", help="Write a package for a plugin instead.")] = None,
    kind: Annotated[str, typer.Option("--kind", metavar="WORD", help="What the plugin is: embedder, llm, reader, ...")] = "embedder",
) -> int:
    """Write a job file to start from. It runs as it is; its JSON Schema for editors goes beside it. No file is ever written over.

    With --plugin: a package with a part that works and the tests of its port.

    Example: asyncrun init && asyncrun run
    """
    from asyncrun.app.init import write_starter
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.cli._requests import DEFAULTS

    if plugin is not None:
        from asyncrun.app.init_plugin import write_plugin

        folder = Path(file or f"asyncrun-{plugin}")
        written, then = write_plugin(plugin, kind, folder), f"pip install -e '{folder}[test]' && pytest {folder}"
    else:
        path = Path(file or DEFAULTS[0])
        written, then = write_starter(path, in_the_way=() if file else DEFAULTS), f"asyncrun run{f' {file}' if file else ''}"
    if options.json:
        print_document({"schema": 1, "written": [str(each) for each in written]})
    elif not options.quiet:
        print_answer(f"{' and '.join(map(str, written))} written; now: {then}")
    return 0
