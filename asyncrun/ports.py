"""The protocols that floors share: JobRun, Progress, Executor, Tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobPlan, JobResult, RunResult
from asyncrun.usage import Load, Usage, Waits

T_co = TypeVar("T_co", covariant=True)


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


class WorkerPart(Protocol):
    """What a worker opens once, before its first call of it: a model, a parser. Equal parts are one.

    A part travels to workers by pickle: it is a frozen dataclass of plain values. Its `repr` shows no secret.
    """

    def open(self) -> AbstractAsyncContextManager[Any]:
        """Open it, in the worker, and give the object whose asynchronous methods are called; it is closed when the worker ends."""


@dataclass(frozen=True, slots=True, eq=False)
class WorkerAnswer(Generic[T_co]):
    """What a call on a worker returned.

    Attributes:
        value: The result.
        worker: Who has worked: a name that stays the same as long as the worker lives, such as `127.0.0.1 pid 4711`.
        queue: Seconds for which the call waited for a free slot.
        ship: Seconds from a free slot to the answer in which nobody worked on the call: what was sent and what came back was on its way.
        warnings: What the call had logged, or warned of, in the worker; a person should read it.
    """

    value: T_co
    worker: str
    queue: float = 0.0
    ship: float = 0.0
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Executor(Protocol):
    """Where calls run: slots, a call that is run in one, and the word that a worker was lost. It never calls twice.

    What is sent and what comes back is plain: values that pickle, numpy arrays as buffers. Limits, attempts, the deadline and the
    ledger stay with whoever calls.
    """

    @property
    def slots(self) -> int:
        """Return how many calls in flight make sense, on all workers together."""

    @property
    def workers(self) -> int:
        """Return how many workers there are, or will be once they have started."""

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        """Wait for a free slot, call a method of a part there, and return what it returns. To cancel it cancels it there, too.

        Raises what the method raises; WorkerLostError when the worker ended, or could not be reached, before it answered: another one
        takes its place; TryLaterError where no worker can be had.
        """

    async def aclose(self) -> None:
        """Cancel what is under way, close the parts and end the workers, within seconds whatever they do; may be called twice."""


class Tokenizer(Protocol):
    """Counts and places the tokens of a text, as a model sees them."""

    added: int
    """How many tokens the model adds to every text (such as [CLS] and [SEP])."""

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, the added ones included."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of every token in the text, without the added ones."""


@runtime_checkable
class WordTokenizer(Tokenizer, Protocol):
    """A tokenizer no token of which reaches over white space: a text has the tokens of its words, wherever it is cut between them."""

    def word_counts(self, text: str) -> Sequence[int] | None:
        """Return the tokens of each word of `text.split()`; None for a text of which this is not so."""
