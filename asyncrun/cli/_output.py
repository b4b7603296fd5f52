"""What a command prints: text for people, JSON for programs; the only place that writes a command's answer."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, TextIO

from asyncrun.cli._options import GlobalOptions

if TYPE_CHECKING:
    from pathlib import Path

    from asyncrun.ports import Progress
    from asyncrun.results import RunResult
    from asyncrun.trace.views.styled_text import StyledText


def open_progress(options: GlobalOptions, stdout_taken: bool, *, log_file: Path | None = None) -> Progress:
    """Return the onlooker that the flags, the streams and the environment call for; JSON goes to stderr when rows go to stdout.

    With a log file it is told everything, too. Raises OutputError when that cannot be opened.
    """
    from asyncrun.clock import SystemClock
    from asyncrun.ui.progress_choice import build_progress, choose_colour, choose_look

    terminal = sys.stderr is not None and sys.stderr.isatty()
    look = choose_look(quiet=options.quiet, json=options.json, progress=options.progress, terminal=terminal, environ=os.environ)
    colour = choose_colour(color=options.color, terminal=terminal, environ=os.environ)
    stdout = sys.stderr if stdout_taken else sys.stdout
    progress = build_progress(look, stdout=stdout, stderr=sys.stderr, clock=SystemClock(), colour=colour, verbose=options.verbose)
    if log_file is None:
        return progress
    from asyncrun.ports import CombinedProgress
    from asyncrun.ui.log_file import LogProgress

    return CombinedProgress(progress, LogProgress(log_file, SystemClock()))


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

    from asyncrun.ui.json_documents import summary_document
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
    from asyncrun.errors import OutputError, Place, StorageError, os_words
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
