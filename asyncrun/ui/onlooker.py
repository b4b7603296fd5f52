"""An onlooker that keeps a board of its run: what bars, plain lines and JSON lines have in common."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.clock import Clock
from asyncrun.ports import Progress
from asyncrun.results import Counts
from asyncrun.ui.run_state import NAMED_FAILURES, Board
from asyncrun.usage import Load, Usage, Waits


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

    def expect(self, task: str, left: Load) -> None:
        """Note what is to be sent."""
        self._board.expect(task, left, self._clock.monotonic())

    def sending(self, task: str, load: Load) -> None:
        """Note a call."""
        self._board.send(task, load, self._clock.monotonic())

    def received(self, task: str, load: Load, waits: Waits | None) -> None:
        """Note its end."""
        self._board.receive(task, load, waits, self._clock.monotonic())
        self._look()

    def waiting(self, task: str, reason: str | None) -> None:
        """Note what a task waits for."""
        self._board.wait(task, reason)
        self._look()

    def _look(self) -> None:
        """Say how the tasks stand, where that is due."""
