"""A ledger as a whole: how large it is, and taken out in a portable form."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from asyncrun.errors import UsageError
from asyncrun.ledger.spaces import space_sizes
from asyncrun.paths import LEDGER, is_there
from asyncrun.results import SpaceSize


def ledger_sizes(state: Path) -> list[SpaceSize]:
    """Return the spaces of the ledger of a state folder. Raises StorageError and DamagedStateError."""
    return space_sizes(state / LEDGER) if is_there(state / LEDGER) else []


def export_ledger(state: Path, output: str) -> tuple[int, int]:
    """Write what is finished in the portable form, to a file or (`-`) to standard output; returns how many vectors and answers.

    Raises UsageError, OutputError and StorageError.
    """
    from asyncrun.grammar.file_formats import STDOUT
    from asyncrun.ledger.portable import portable_lines
    from asyncrun.writers.atomic import AtomicFile
    from asyncrun.writers.jsonl import StdoutFile

    if not is_there(state / LEDGER):
        raise UsageError(f"there is no ledger in {state}", hint="Run a job first, or name its job file with -f.")
    file = StdoutFile(sys.stdout.buffer) if output == STDOUT else AtomicFile(Path(output))
    try:
        with closing(portable_lines(state / LEDGER)) as lines:
            counts = [(vectors, answers) for line, vectors, answers in lines if file.write(line)]
        file.commit()
    finally:
        file.abort()
    return sum(vectors for vectors, _ in counts), sum(answers for _, answers in counts)
