"""The progress that shows itself in the way that was chosen."""

from __future__ import annotations

from typing import TextIO

from asyncrun.clock import Clock
from asyncrun.ports import Progress
from asyncrun.ui.json_lines import JsonProgress
from asyncrun.ui.plain_lines import PlainProgress, WarningsOnly
from asyncrun.ui.progress_choice import Look


def build_progress(look: Look, *, stdout: TextIO, stderr: TextIO, clock: Clock, colour: bool = True, verbose: bool = False) -> Progress:
    """Return the progress that shows itself in this way. JSON lines go to stdout, all else to stderr.

    `colour` matters to bars alone; `verbose` names every failed item, and without bars the jobs that begin, too.
    """
    match look:
        case Look.NOTHING:
            return Progress()
        case Look.WARNINGS:
            return WarningsOnly(stderr)
        case Look.JSON:
            return JsonProgress(stdout, clock, stderr)
        case Look.PLAIN:
            return PlainProgress(stderr, clock, verbose=verbose)
        case Look.BARS:
            from asyncrun.ui.bars import BarProgress

            return BarProgress(stderr, clock, colour=colour, verbose=verbose)
