"""Exceptions as a person sees them: one sentence, the place, what to do, an exit code; never a traceback unless asked for."""

from __future__ import annotations

import shutil
import traceback
from typing import TextIO

from asyncrun.errors import AsyncrunError, JobFileError, Mistake
from asyncrun.escape import printable
from asyncrun.redact import Redactor


def show_error(error: Exception, stream: TextIO, *, debug: bool = False) -> int:
    """Write an error and return its exit code; an exception that is none of ours is a bug, 70."""
    redact = Redactor().redact
    if debug:
        stream.write(redact("".join(traceback.format_exception(error))))
    width = shutil.get_terminal_size((100, 24)).columns if stream.isatty() else None
    lines = [printable(redact(line)) for line in error_lines(error, width)]
    stream.write("".join(f"{line}\n" for line in lines))
    return error.exit_code if isinstance(error, AsyncrunError) else 70


def error_lines(error: Exception, width: int | None = None) -> list[str]:
    """Return the lines that tell about an error; on a terminal of a `width`, mistakes of a job file are shown in their lines."""
    if isinstance(error, JobFileError):
        count = len(error.mistakes)
        told = (line for mistake in error.mistakes for line in [str(mistake), *_excerpt(mistake, width)])
        return [*told, f"{count} {'mistake' if count == 1 else 'mistakes'} in the job file; nothing was sent."]
    if isinstance(error, AsyncrunError):
        return [f"asyncrun: {error}", f"  {error.hint}"]
    return [
        f"asyncrun: internal error: {type(error).__name__}: {error}",
        "  This is a bug. Nothing that was finished is lost. Run again with --debug and report what it shows.",
    ]


def _excerpt(mistake: Mistake, width: int | None) -> list[str]:
    if width is None:
        return []
    from asyncrun.ui.excerpt import render_excerpt

    return render_excerpt(mistake, width)
