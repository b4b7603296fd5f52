"""What a command prints: text for people, JSON for programs, and an error as a sentence, its place, what to do and an exit code."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from asyncrun.cli._flags_and_completion import GlobalOptions
from asyncrun.errors import AsyncrunError, JobFileError, Mistake, OutputError, Place, ResourceError, StorageError, UsageError, os_words
from asyncrun.escape import printable
from asyncrun.humanize import counted
from asyncrun.redact import Redactor
from asyncrun.streams import OutputStream

if TYPE_CHECKING:
    from pathlib import Path

    from asyncrun.results import RunResult
    from asyncrun.trace.views.styled_text import StyledText


def print_answer(text: str, *, to_stderr: bool = False, sentences: bool = False) -> None:
    """Print a text for people; sentences go on in the next line where a terminal ends."""
    from asyncrun.ui.colours import print_text

    stream = sys.stderr if to_stderr else sys.stdout
    columns = width() if sentences and stream.isatty() else None
    print_text(text, stream, width=columns, answer=not to_stderr)


def print_view(view: StyledText, options: GlobalOptions, *, to_stderr: bool = False, sentences: bool = False) -> None:
    """Print a text whose parts may have colours; sentences go on in the next line where a terminal ends."""
    from asyncrun.ui.colours import print_styled

    stream = sys.stderr if to_stderr else sys.stdout
    columns = width() if sentences and stream.isatty() else None
    print_styled(view, stream, colour=_colour(options, stream), width=columns, answer=not to_stderr)


def print_document(document: Any) -> None:
    """Print one JSON document."""
    import json

    print_answer(json.dumps(document, ensure_ascii=False))


def write_summary(path: Path, result: RunResult) -> None:
    """Write the summary of a run to a file, whole or not at all; to a device, a pipe or `/dev/stdout` as a line of its own.

    Raises OutputError and StorageError.
    """
    import json

    from asyncrun.ui.run_json import summary_document
    from asyncrun.writers.atomic import AtomicFile, is_stream

    line = json.dumps(summary_document(result)).encode() + b"\n"
    if is_stream(path):
        _append(path, line)
        return
    file = AtomicFile(path)
    try:
        file.write(line)
        file.commit()
    finally:
        file.abort()


def _append(path: Path, line: bytes) -> None:
    from asyncrun.writers.atomic import stream_number

    number = stream_number(path)
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        # A stream of ours is not opened again: a file behind it would be written from its start.
        # All else without waiting: a pipe that nobody reads must not hold up the end of a run.
        descriptor = os.dup(number) if number is not None else os.open(path, flags)
    except OSError as error:
        raise OutputError(f"cannot be opened: {os_words(error)}", place=Place(str(path)), hint="Choose another --summary-file.") from error
    try:
        if number is None:
            os.set_blocking(descriptor, True)
        with open(descriptor, "wb") as stream:  # noqa: PTH123  # a descriptor has no path
            stream.write(line)
    except BrokenPipeError:
        pass  # A reader that goes away is no error, here as on standard output.
    except OSError as error:
        raise StorageError(f"cannot be written: {os_words(error)}", place=Place(str(path))) from error


def width() -> int:
    """Return the columns that a text may take."""
    return shutil.get_terminal_size((100, 24)).columns


def _colour(options: GlobalOptions, stream: TextIO) -> bool:
    from asyncrun.ui.progress_choice import choose_colour

    return choose_colour(color=options.color, terminal=stream.isatty(), environ=os.environ)


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
    columns = width() if stream.isatty() else None
    if isinstance(error, JobFileError):
        lines: Iterable[str] = _mistake_lines(error, redact, columns)
    else:
        lines = [redact(line) for line in error_lines(error)]
    for line in lines:
        print_text(printable(line), stream, width=columns, answer=False)
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

    from asyncrun.ui.run_json import refusal_document

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
            from asyncrun.ui.formatting import render_excerpt

            # Lines that may hold a secret are not among them.
            yield from render_excerpt(mistake, width)
    yield f"{counted(len(error.mistakes), 'mistake')} in the job file; nothing was sent."


def _redacted(mistake: Mistake, redact: Callable[[str], str]) -> str:
    """Return a mistake without secrets; what follows the path `api_key` is the message, not a key."""
    allowed, suggestion = (part and redact(part) for part in (mistake.allowed, mistake.suggestion))
    return str(replace(mistake, message=redact(mistake.message), allowed=allowed, suggestion=suggestion))
