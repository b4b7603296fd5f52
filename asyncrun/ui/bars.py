"""Progress as bars that move on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import IO, TextIO, cast

from rich.console import Console, RenderableType
from rich.text import Text

from asyncrun.clock import Clock
from asyncrun.records import ItemFailure
from asyncrun.results import JobResult, RunResult
from asyncrun.streams import OutputStream
from asyncrun.ui.failed_items import render_failure
from asyncrun.ui.formatting import render_warning
from asyncrun.ui.progress_frame import MOST_GROUPS, render_frame
from asyncrun.ui.run_state import TrackingProgress
from asyncrun.ui.terminal import Screen

REDRAW_EVERY = 0.1
"""Seconds between two drawings."""


class BarProgress(TrackingProgress):
    """Draws a row for each task at the foot of the screen, and above them what items failed by; messages scroll away above.

    At the end the rows stay, or with `wiped` they do not: then how the run ended is said below. When it is `verbose` every failed item is
    named above. A call changes numbers and nothing else: one thread draws, from the first task on until `close`.
    """

    def __init__(self, stream: TextIO, clock: Clock, *, colour: bool = True, verbose: bool = False, wiped: bool = False) -> None:
        super().__init__(clock, named_failures=None if verbose else 0)
        self._wiped = wiped
        self._most_groups = 0 if verbose else MOST_GROUPS
        self._console = Console(
            # An OutputStream has what Console uses of a stream: write, flush, isatty, fileno, encoding.
            # A character that the encoding lacks takes one column, so that no row is wider than it was measured.
            file=cast("IO[str]", OutputStream(stream, errors="replace")),
            force_terminal=True,
            no_color=not colour,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._screen = Screen(self._console, self._picture, every=REDRAW_EVERY, redirect=stream is sys.stderr)

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Show all tasks as pending."""
        super().run_started(run_id, tasks)
        self._screen.start()

    def task_started(self, task: str, total: int | None) -> None:
        """Show a task as running."""
        super().task_started(task, total)
        self._screen.start()

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        """Count the item, or name it above the rows."""
        if self.note_failure(task, failure):
            self._screen.say(Text(render_failure(task, failure)))

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Show how a task has ended."""
        self.note_end(task, result)

    def run_finished(self, result: RunResult) -> None:
        """Stop drawing: how the run ended is said below."""
        self.close()

    def warn(self, message: str) -> None:
        """Show a line above the bars."""
        self._screen.say(Text(render_warning(message), style="yellow"))

    def close(self) -> None:
        """Stop drawing; a task that has not ended leaves its row too. May be called twice."""
        self.note_stop()
        if not self._wiped and self.tasks:
            self._wiped = True
            self._screen.say(self._drawn(len(self.tasks) + MOST_GROUPS + 1))
        self._screen.close()

    def _picture(self) -> RenderableType:
        return self._drawn(max(self._console.size.height - 1, 1))

    def _drawn(self, height: int) -> RenderableType:
        return render_frame(self.tasks, self._clock.monotonic(), self._console.width, height, self.failure_groups(self._most_groups))
