"""Which kind of progress is shown, and whether in colour: decided from the flags, the streams and the environment, and built."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Literal, TextIO

from asyncrun.clock import Clock, SystemClock
from asyncrun.ports import Progress

When = Literal["auto", "always", "never"]


class Look(Enum):
    """How progress is shown."""

    NOTHING = "nothing"
    WARNINGS = "warnings"
    PLAIN = "plain"
    JSON = "json"
    BARS = "bars"


def choose_look(*, quiet: bool, json: bool, progress: When, terminal: bool, environ: Mapping[str, str]) -> Look:
    """Return how progress is shown; `terminal` says whether stderr is one.

    `quiet` wins over everything, JSON over the rest. `always` shows bars even where `CI` is set, but never where they cannot move.

    >>> choose_look(quiet=False, json=False, progress="auto", terminal=True, environ={"TERM": "xterm", "CI": "true"})
    <Look.PLAIN: 'plain'>
    """
    if quiet:
        return Look.NOTHING
    if json:
        return Look.JSON
    if progress == "never":
        return Look.WARNINGS
    if progress == "always":
        environ = {name: value for name, value in environ.items() if name != "CI"}
    return Look.BARS if bars_can_move(terminal=terminal, environ=environ) else Look.PLAIN


def bars_can_move(*, terminal: bool, environ: Mapping[str, str]) -> bool:
    """Return whether a bar may move: on a terminal that knows how, outside of CI; a variable set to nothing counts as unset."""
    return terminal and environ.get("TERM") != "dumb" and not environ.get("CI")


def choose_colour(*, color: When, terminal: bool, environ: Mapping[str, str]) -> bool:
    """Return whether a stream gets colour.

    A flag wins over `NO_COLOR` (https://no-color.org), that over `FORCE_COLOR` (https://force-color.org), that over the terminal.

    >>> choose_colour(color="auto", terminal=True, environ={"NO_COLOR": "1"})
    False
    """
    if color != "auto":
        return color == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return terminal and environ.get("TERM") != "dumb"


def build_progress(
    look: Look, *, stdout: TextIO, stderr: TextIO, clock: Clock, colour: bool = True, verbose: bool = False, wiped: bool = False
) -> Progress:
    """Return the progress that shows itself in this way. JSON lines go to stdout, all else to stderr.

    `colour` and `wiped` matter to bars alone, which leave nothing behind when they are `wiped`; `verbose` names every failed item, and
    without bars the jobs that begin, too.
    """
    match look:
        case Look.NOTHING:
            return Progress()
        case Look.WARNINGS:
            from asyncrun.ui.plain_lines import WarningsOnly

            return WarningsOnly(stderr)
        case Look.JSON:
            from asyncrun.ui.json_lines import JsonProgress

            return JsonProgress(stdout, clock, stderr)
        case Look.PLAIN:
            from asyncrun.ui.plain_lines import PlainProgress

            return PlainProgress(stderr, clock, verbose=verbose)
        case Look.BARS:
            from asyncrun.ui.bars import BarProgress

            return BarProgress(stderr, clock, colour=colour, verbose=verbose, wiped=wiped)


def open_progress(stream: TextIO | None = None) -> Progress:
    """Return bars where they can move, in a notebook as an output of the cell, plain lines elsewhere; `stream` defaults to stderr.

    Close it: bars own the last lines of the screen until then.
    """
    from asyncrun.ui.cell_output import new_cell_output

    if stream is None and (output := new_cell_output()) is not None:
        from asyncrun.ui.notebook import NotebookProgress

        return NotebookProgress(output, sys.stderr, SystemClock())
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    look = Look.BARS if bars_can_move(terminal=terminal, environ=os.environ) else Look.PLAIN
    colour = choose_colour(color="auto", terminal=terminal, environ=os.environ)
    return build_progress(look, stdout=stream, stderr=stream, clock=SystemClock(), colour=colour)
