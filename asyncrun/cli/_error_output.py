"""Exceptions as a person sees them: one sentence, the place, what to do, an exit code; never a traceback unless asked for."""

from __future__ import annotations

import errno
import re
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TextIO

from asyncrun.errors import AsyncrunError, JobFileError, Mistake, ResourceError, UsageError, os_words
from asyncrun.escape import printable
from asyncrun.humanize import counted
from asyncrun.redact import Redactor
from asyncrun.streams import OutputStream


def show_error(error: Exception, stream: TextIO, *, debug: bool = False) -> int:
    """Write an error and return its exit code; an exception that is none of ours is a bug, 70, unless the machine has given out.

    On a terminal the mistakes of a job file are shown in their lines, and sentences go on in the next line between words. A stream that
    takes nothing changes no exit code.
    """
    from asyncrun.ui.colours import print_text

    redact = Redactor().redact
    if debug:
        OutputStream(stream).write(redact("".join(traceback.format_exception(error))))
    error = _exhaustion(error) or error
    width = shutil.get_terminal_size((100, 24)).columns if stream.isatty() else None
    if isinstance(error, JobFileError):
        lines: Iterable[str] = _mistake_lines(error, redact, width)
    else:
        lines = [redact(line) for line in error_lines(error)]
    for line in lines:
        print_text(printable(line), stream, width=width, answer=False)
    return error.exit_code if isinstance(error, AsyncrunError) else 70


def _exhaustion(error: Exception) -> ResourceError | None:
    """Return what an error means that any line may meet: there is no more memory, or another thing of which the system gives so many."""
    if isinstance(error, MemoryError):
        return ResourceError("there is no more memory for this process")
    # In these words CPython says that pthread_create has failed (Modules/_threadmodule.c).
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return ResourceError("no more threads can be started")
    # glibc's words where the libraries of a module do not find room (elf/dl-load.c, elf/dl-map-segments.h).
    if isinstance(error, ImportError) and re.search("failed to map segment|Cannot allocate memory", str(error)):
        return ResourceError("there is no memory for a library of this process")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        return ResourceError(f"the system gives no more to this process: {os_words(error)}")
    return None


def print_refusal(error: UsageError, stream: TextIO) -> int:
    """Write one JSON document that says why nothing ran, and return its exit code."""
    import json

    from asyncrun.ui.json_documents import refusal_document

    OutputStream(stream).line(json.dumps(refusal_document(error, Redactor().redact)))
    return error.exit_code


def error_lines(error: Exception) -> list[str]:
    """Return the lines that tell about an error."""
    if isinstance(error, AsyncrunError):
        return [f"asyncrun: {error}", f"  {error.hint}"]
    return [
        f"asyncrun: internal error: {type(error).__name__}: {error}",
        "  This is a bug. Nothing that was finished is lost. Run again with --debug and report what it shows.",
    ]


def _mistake_lines(error: JobFileError, redact: Callable[[str], str], width: int | None) -> Iterator[str]:
    for mistake in error.mistakes:
        yield _redacted(mistake, redact)
        if width is not None:
            from asyncrun.ui.mistake_excerpt import render_excerpt

            # Lines that may hold a secret are not among them.
            yield from render_excerpt(mistake, width)
    yield f"{counted(len(error.mistakes), 'mistake')} in the job file; nothing was sent."


def _redacted(mistake: Mistake, redact: Callable[[str], str]) -> str:
    """Return a mistake without secrets; what follows the path `api_key` is the message, not a key."""
    allowed, suggestion = (part and redact(part) for part in (mistake.allowed, mistake.suggestion))
    return str(replace(mistake, message=redact(mistake.message), allowed=allowed, suggestion=suggestion))
