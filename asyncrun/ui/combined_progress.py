"""Two onlookers as one, such as a terminal and a log file."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.ports import Progress
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, RunResult
from asyncrun.usage import Load, Usage, Waits


class CombinedProgress(Progress):
    """Tells two onlookers everything, in order."""

    def __init__(self, first: Progress, second: Progress) -> None:
        self._both = (first, second)

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Tell both."""
        for each in self._both:
            each.run_started(run_id, tasks)

    def task_started(self, task: str, total: int | None) -> None:
        """Tell both."""
        for each in self._both:
            each.task_started(task, total)

    def advance(self, task: str, counts: Counts) -> None:
        """Tell both."""
        for each in self._both:
            each.advance(task, counts)

    def use(self, task: str, usage: Usage) -> None:
        """Tell both."""
        for each in self._both:
            each.use(task, usage)

    def expect(self, task: str, left: Load) -> None:
        """Tell both."""
        for each in self._both:
            each.expect(task, left)

    def sending(self, task: str, load: Load) -> None:
        """Tell both."""
        for each in self._both:
            each.sending(task, load)

    def received(self, task: str, load: Load, waits: Waits | None) -> None:
        """Tell both."""
        for each in self._both:
            each.received(task, load, waits)

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        """Tell both."""
        for each in self._both:
            each.item_failed(task, failure)

    def waiting(self, task: str, reason: str | None) -> None:
        """Tell both."""
        for each in self._both:
            each.waiting(task, reason)

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Tell both."""
        for each in self._both:
            each.task_finished(task, result)

    def run_finished(self, result: RunResult) -> None:
        """Tell both."""
        for each in self._both:
            each.run_finished(result)

    def warn(self, message: str) -> None:
        """Tell both."""
        for each in self._both:
            each.warn(message)

    def close(self) -> None:
        """Close both."""
        for each in self._both:
            each.close()
