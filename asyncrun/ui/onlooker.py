"""An onlooker that keeps a board of its run: what bars, plain lines and JSON lines have in common."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.clock import Clock
from asyncrun.ports import Progress
from asyncrun.records import Counts, Usage
from asyncrun.ui.board import NAMED_FAILURES, Board


class BoardProgress(Progress):
    """Keeps where every task stands, and looks at it after each change; of each task the first `named` failures are named."""

    def __init__(self, clock: Clock, *, named: int | None = NAMED_FAILURES) -> None:
        self._clock = clock
        self._board = Board(named)

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Note the tasks."""
        self._board.announce(tasks)

    def task_started(self, task: str, total: int | None) -> None:
        """Note that a task has begun."""
        self._board.start(task, total, self._clock.monotonic())

    def advance(self, task: str, counts: Counts) -> None:
        """Count."""
        self._board.advance(task, counts)
        self._look()

    def use(self, task: str, usage: Usage) -> None:
        """Add up."""
        self._board.use(task, usage)

    def waiting(self, task: str, reason: str | None) -> None:
        """Note what a task waits for."""
        self._board.wait(task, reason)
        self._look()

    def _look(self) -> None:
        """Say how the tasks stand, where that is due."""
