"""The writer port: rows in, one whole file out, by one rename; which writer it is, the ending of the output's name tells."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from asyncrun import registry
from asyncrun.errors import Place, UsageError
from asyncrun.grammar.file_formats import OUTPUTS, STDOUT, ids_path, output_format
from asyncrun.writers.jsonl import JsonlWriter, StdoutFile


class Writer(Protocol):
    """Writes rows to a temporary file in the output's folder; `commit` puts it in the place of the output.

    A row is a mapping of column to value; `embedding` is a float32 array of one dimension. Until `commit` the former output is untouched.
    Raises OutputError when the file cannot be created, StorageError when writing fails.
    """

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row."""

    def commit(self) -> os.stat_result | None:
        """Make the rows durable and put the file in its place; returns which one it is there, None where that is not known."""

    def abort(self) -> None:
        """Throw the temporary file away; may be called after `commit` and twice."""


def open_writer(
    output: Path | str, format: str | None = None, stdout: BinaryIO | None = None, columns: Sequence[str] | None = None
) -> Writer:
    """Return a writer for a path, or for `-`, which needs the binary stream `stdout` and takes JSON lines only.

    The caller ends it with `commit` or `abort`. An output that cannot be created is found here, before the first row:
    `open_writer(path).abort()` is the check, and leaves nothing but the folders it needed.

    Raises UsageError for a format that nobody offers, MissingExtraError for one that is not installed, OutputError, StorageError.
    """
    if output == STDOUT:
        if format not in (None, "jsonl") or stdout is None:
            raise UsageError(f"standard output takes jsonl, not {format}", place=Place(STDOUT), hint="Write to a file instead.")
        return JsonlWriter(StdoutFile(stdout), columns)
    path = Path(output)
    writer = registry.load("writers", format or format_of(path))
    return cast(Writer, writer(path, columns))


def companions(path: Path, format: str | None = None) -> tuple[Path, ...]:
    """Return the files that an output has beside it: an .npy file its ids."""
    return (ids_path(path),) if (format or output_format(path.name)) == "npy" else ()


def format_of(path: Path) -> str:
    """Return the format that the ending of an output's name stands for.

    >>> format_of(Path("out/vectors.jsonl"))
    'jsonl'

    Raises UsageError when it stands for none.
    """
    found = output_format(path.name)
    if found is None:
        known = ", ".join(sorted(OUTPUTS))
        ending = f"the ending {path.suffix!r}" if path.suffix else "a name without an ending"
        raise UsageError(
            f"no output format is known by {ending}; known: {known}", place=Place(str(path)), hint="Change the ending, or set `format`."
        )
    return found
