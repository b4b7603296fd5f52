"""What several commands are told in the same words, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._complete import complete_words

Words = Annotated[
    list[str] | None, typer.Argument(metavar="FILE JOB", autocompletion=complete_words, help="The job file, and which of its jobs.")
]
Variables = Annotated[list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Set a variable of the job file.")]
