"""What a command prints: text for people, JSON for programs; the only place that writes a command's answer."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, TextIO

from asyncrun.cli._options import Options

if TYPE_CHECKING:
    from pathlib import Path

    from asyncrun.ports import Progress
    from asyncrun.records import RunResult
    from asyncrun.trace.views.styled import Styled


def open_progress(options: Options, stdout_taken: bool, *, log_file: Path | None = None) -> Progress:
    """Return the onlooker that the flags, the streams and the environment call for; JSON goes to stderr when rows go to stdout.

    With a log file it is told everything, too. Raises OutputError when that cannot be opened.
    """
    from asyncrun.clock import SystemClock
    from asyncrun.ui.choose import build_progress, choose_colour, choose_look

    terminal = sys.stderr is not None and sys.stderr.isatty()
    look = choose_look(quiet=options.quiet, json=options.json, progress=options.progress, terminal=terminal, environ=os.environ)
    colour = choose_colour(color=options.color, terminal=terminal, environ=os.environ)
    stdout = sys.stderr if stdout_taken else sys.stdout
    progress = build_progress(look, stdout=stdout, stderr=sys.stderr, clock=SystemClock(), colour=colour, verbose=options.verbose)
    if log_file is None:
        return progress
    from asyncrun.ui.both import BothProgress
    from asyncrun.ui.log import LogProgress

    return BothProgress(progress, LogProgress(log_file, SystemClock()))


def print_answer(text: str, options: Options, *, to_stderr: bool = False, sentences: bool = False) -> None:
    """Print a text for people; sentences go on in the next line where a terminal ends."""
    from asyncrun.ui.report import print_text

    stream = sys.stderr if to_stderr else sys.stdout
    print_text(text, stream, colour=_colour(options, stream), width=width() if sentences and stream.isatty() else None)


def print_view(view: Styled, options: Options, *, to_stderr: bool = False) -> None:
    """Print a view of a trace."""
    from asyncrun.ui.paint import print_styled

    stream = sys.stderr if to_stderr else sys.stdout
    print_styled(view, stream, colour=_colour(options, stream))


def print_document(document: Any, options: Options) -> None:
    """Print one JSON document."""
    import json

    print_answer(json.dumps(document, ensure_ascii=False), options)


def write_summary(path: Path, result: RunResult) -> None:
    """Write the summary of a run to a file, whole or not at all. Raises OutputError and StorageError."""
    import json

    from asyncrun.ui.documents import summary_document
    from asyncrun.writers.atomic import AtomicFile

    file = AtomicFile(path)
    try:
        file.write(json.dumps(summary_document(result)).encode() + b"\n")
        file.commit()
    finally:
        file.abort()


def width() -> int:
    """Return the columns that a text may take."""
    return shutil.get_terminal_size((100, 24)).columns


def _colour(options: Options, stream: TextIO) -> bool:
    from asyncrun.ui.choose import choose_colour

    return choose_colour(color=options.color, terminal=stream.isatty(), environ=os.environ)
