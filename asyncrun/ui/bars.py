"""Progress as bars that move on a terminal, one line a task."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import IO, TextIO, cast

from rich.console import Console, RenderableType
from rich.text import Text

from asyncrun.clock import Clock, SystemClock
from asyncrun.ports import Progress
from asyncrun.records import ItemFailure
from asyncrun.results import JobResult, RunResult
from asyncrun.ui.formatting import render_failure, render_more_failures
from asyncrun.ui.frame import name_width, render_frame, render_row
from asyncrun.ui.onlooker import BoardProgress
from asyncrun.ui.outlet import Outlet
from asyncrun.ui.plain_lines import PlainProgress, render_warning
from asyncrun.ui.progress_choice import bars_can_move, choose_colour
from asyncrun.ui.run_state import NAMED_FAILURES, TaskState
from asyncrun.ui.terminal import Screen


def open_progress(stream: TextIO | None = None) -> Progress:
    """Return bars where they can move, plain lines elsewhere; `stream` defaults to stderr.

    Close it: bars own the last lines of the screen until then.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    if not bars_can_move(terminal=terminal, environ=os.environ):
        return PlainProgress(stream, SystemClock())
    return BarProgress(stream, SystemClock(), colour=choose_colour(color="auto", terminal=terminal, environ=os.environ))


class BarProgress(BoardProgress):
    """Draws the tasks at the foot of the screen; what has ended, and every message, scrolls away above.

    A call changes numbers and nothing else: one thread draws, from the first task on until `close`.
    """

    def __init__(self, stream: TextIO, clock: Clock, *, colour: bool = True, verbose: bool = False) -> None:
        super().__init__(clock, named=None if verbose else NAMED_FAILURES)
        self._console = Console(
            # An Outlet has what Console uses of a stream: write, flush, isatty, fileno, encoding.
            file=cast("IO[str]", Outlet(stream)),
            force_terminal=True,
            no_color=not colour,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._screen = Screen(self._console, self._picture, redirect=stream is sys.stderr)

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Show all tasks as pending."""
        super().run_started(run_id, tasks)
        self._screen.start()

    def task_started(self, task: str, total: int | None) -> None:
        """Show a task as running."""
        super().task_started(task, total)
        self._screen.start()

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        """Name the item above the bars, or count it."""
        if self._board.fail(task):
            self._screen.say(Text(render_failure(task, failure)))

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Leave the task's last line above the bars."""
        state = self._board.finish(task, result, self._clock.monotonic())
        if state.unnamed_failures:
            self._screen.say(Text(render_more_failures(task, state.unnamed_failures)))
        self._screen.say(self._row(state))

    def run_finished(self, result: RunResult) -> None:
        """Stop drawing: how the run ended is said below."""
        self.close()

    def warn(self, message: str) -> None:
        """Show a line above the bars."""
        self._screen.say(Text(render_warning(message), style="yellow"))

    def close(self) -> None:
        """Stop drawing; a task that has not ended leaves its line too. May be called twice."""
        for task in self._board.close(self._clock.monotonic()):
            self._screen.say(self._row(task))
        self._screen.close()

    def _picture(self) -> RenderableType:
        width, height = self._console.size
        return render_frame(self._board.tasks, self._clock.monotonic(), width, max(height - 1, 1))

    def _row(self, task: TaskState) -> RenderableType:
        width = self._console.width
        return render_row(task, self._clock.monotonic(), width, name_width(self._board.tasks, width))
