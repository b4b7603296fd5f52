"""The protocols that floors share: JobRun, Progress, Tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobPlan, JobResult, RunResult
from asyncrun.usage import Load, Usage, Waits


class Progress:
    """What is told how a run goes on, and does nothing with it: what is to be seen is overridden.

    Calls are cheap and frequent: an implementation draws at most ten times a second.

    A `task` is a job of a job file, or one call of `run_jobs`.
    """

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Tell that a run has begun and which tasks it has."""

    def task_started(self, task: str, total: int | None) -> None:
        """Tell that a task has begun; `total` is None when it is not known."""

    def advance(self, task: str, counts: Counts) -> None:
        """Add items that have just ended."""

    def use(self, task: str, usage: Usage) -> None:
        """Add what requests have just used."""

    def expect(self, task: str, left: Load) -> None:
        """Tell how much a task still has to send, all in all; may be told again once more is known, with nothing under way."""

    def sending(self, task: str, load: Load) -> None:
        """Tell that a call with some of it has begun."""

    def received(self, task: str, load: Load, waits: Waits | None) -> None:
        """Tell that such a call was answered, and what it waited for; None: it has ended without an answer."""

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        """Tell that an item has failed."""

    def waiting(self, task: str, reason: str | None) -> None:
        """Tell what a task waits for, None when it does not; comes once a second while a job of a job file runs."""

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Tell that a task has ended."""

    def run_finished(self, result: RunResult) -> None:
        """Tell that the run has ended."""

    def warn(self, message: str) -> None:
        """Show one sentence that a person should read."""

    def close(self) -> None:
        """Leave the screen as a finished line; may be called twice."""


def _tell_each(method: str) -> Any:
    def tell(self: CombinedProgress, *told: Any) -> None:
        for member in self.members:
            getattr(member, method)(*told)

    return tell


class CombinedProgress(Progress):
    """Several as one, such as a terminal and a log file: each is told everything, in order."""

    def __init__(self, *members: Progress) -> None:
        self.members = members

    run_started = _tell_each("run_started")
    task_started = _tell_each("task_started")
    advance = _tell_each("advance")
    use = _tell_each("use")
    expect = _tell_each("expect")
    sending = _tell_each("sending")
    received = _tell_each("received")
    item_failed = _tell_each("item_failed")
    waiting = _tell_each("waiting")
    task_finished = _tell_each("task_finished")
    run_finished = _tell_each("run_finished")
    warn = _tell_each("warn")
    close = _tell_each("close")


class JobRun(Protocol):
    """One job, wired with all that it needs: it can be planned, and it can be run."""

    async def plan(self) -> JobPlan:
        """Pass over the input and say what a run would do; sends nothing."""

    async def run(self, progress: Progress) -> JobResult:
        """Do it, and return how it ended, by an error or with what was counted."""


class Tokenizer(Protocol):
    """Counts and places the tokens of a text, as a model sees them."""

    added: int
    """How many tokens the model adds to every text (such as [CLS] and [SEP])."""

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, the added ones included."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of every token in the text, without the added ones."""
