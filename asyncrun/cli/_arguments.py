"""Words that several commands take, declared once, and what a shell offers for them after Tab.

Where something is in the way it offers nothing: nobody reads an error there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from asyncrun.errors import AsyncrunError


def complete_words(context: typer.Context, incomplete: str) -> list[str]:
    """Return the job files of the folder for the first word, and the jobs of the file that is meant."""
    from asyncrun.cli._requests import job_file

    words = [word for word in context.params.get("words") or () if word]
    found = [] if words else complete_files(incomplete)
    with suppress(AsyncrunError, OSError):
        file, chosen = job_file(words)
        found += [name for name in _job_names(file) if name.startswith(incomplete) and name not in chosen]
    return found


def complete_files(incomplete: str) -> list[str]:
    """Return the YAML files of the folder."""
    with suppress(OSError):
        return sorted(path.name for path in Path().glob("*.y*ml") if path.name.startswith(incomplete) and path.suffix in (".yaml", ".yml"))
    return []


def complete_runs(incomplete: str) -> list[str]:
    """Return `latest` and the ids of the recorded runs that the nearest state folder holds, the latest first."""
    found = ["latest"] if "latest".startswith(incomplete) else []
    with suppress(AsyncrunError, OSError):
        from asyncrun.app.recorded_runs import select_runs
        from asyncrun.clock import SystemClock
        from asyncrun.paths import traced_folder

        runs = select_runs(traced_folder(None, None), SystemClock().now())
        found += [run.run_id for run in runs if run.run_id.startswith(incomplete)]
    return found


def _job_names(file: Path) -> list[str]:
    from asyncrun.jobfile.files import read_job_names

    return read_job_names(file)


Words = Annotated[
    list[str] | None, typer.Argument(metavar="FILE JOB", autocompletion=complete_words, help="The job file, and which of its jobs.")
]
Variables = Annotated[list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Set a variable of the job file.")]
