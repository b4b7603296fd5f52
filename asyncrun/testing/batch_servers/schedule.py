"""How a batch goes its way: its stage and its finished lines are a function of the time alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any


class BatchStage(StrEnum):
    """The stages of a batch, in OpenAI's words (openai-python, `types/batch.py`); other vendors have fewer."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Tell whether it is the last one."""
        return self in (BatchStage.FAILED, BatchStage.COMPLETED, BatchStage.EXPIRED, BatchStage.CANCELLED)


@dataclass(frozen=True, slots=True)
class StagePace:
    """How many virtual seconds each stage takes.

    >>> StagePace.of(180.0)
    StagePace(validating=9.0, working=162.0, finalizing=9.0, cancelling=9.0)
    """

    validating: float
    working: float
    finalizing: float
    cancelling: float

    @classmethod
    def of(cls, seconds: float, slow: float = 1.0) -> StagePace:
        """Return the pace of batches that are done after so many seconds; where they are slow, it is the work that takes longer."""
        edge = seconds / 20
        return cls(edge, seconds * slow - 2 * edge, edge, edge)


@dataclass(frozen=True, slots=True)
class BatchProblem:
    """Why a batch is refused as a whole; `line` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class LineReply:
    """What came of a line: status and JSON as online."""

    status: int
    body: Any
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def right(self) -> bool:
        """Tell whether it was answered."""
        return self.status == 200


@dataclass(slots=True, eq=False)
class FakeLine:
    """A request of a batch: `path` is that of the same request online, `done` the moment of its answer, infinite where it has none."""

    custom_id: str | None
    path: str
    document: Any
    tokens: int = 0
    done: float = math.inf
    reply: LineReply | None = None


@dataclass(slots=True, eq=False)
class FakeBatch:
    """A batch at a vendor's; `number` counts the vendor's batches from 0, `label` is the metadata or the name that it was given.

    `window` is how many seconds it may take, `keeps_finished` whether an expiry leaves what was finished until then, `never_ends` whether
    all of it is worked on and it is not ended all the same, `worked` is the moment of the last answer. `answered` are the lines that have
    one, in the order in which they got it; `waiting` those that will, the last one first.
    """

    number: int
    id: str
    owner: str
    created: float
    window: float
    pace: StagePace
    lines: list[FakeLine]
    request: dict[str, Any]
    model: str = ""
    label: Any = None
    input_file: str | None = None
    problems: tuple[BatchProblem, ...] = ()
    keeps_finished: bool = True
    never_ends: bool = False
    worked: float = math.inf
    cancelled: float | None = None
    asked: int = 0
    files: dict[str, str] = field(default_factory=dict)
    answered: list[FakeLine] = field(default_factory=list)
    waiting: list[FakeLine] = field(default_factory=list)

    @property
    def started(self) -> float:
        """Return when work on it begins."""
        return self.created + self.pace.validating

    @property
    def expires(self) -> float:
        """Return when its window ends."""
        return self.created + self.window

    @property
    def stopped(self) -> float:
        """Return the moment after which no line is worked on."""
        return min(self.expires, math.inf if self.cancelled is None else self.cancelled)

    @property
    def ended(self) -> float:
        """Return when it is over."""
        if self.problems:
            return self.started
        if self.cancelled is not None:
            return self.cancelled + self.pace.cancelling
        return min(self.worked + self.pace.finalizing, self.expires)

    def stage(self, now: float) -> BatchStage:
        """Return where it is."""
        if self.problems:
            return BatchStage.FAILED if now >= self.started else BatchStage.VALIDATING
        if self.cancelled is not None:
            return BatchStage.CANCELLED if now >= self.ended else BatchStage.CANCELLING
        if now >= self.ended:
            return BatchStage.COMPLETED if self.worked + self.pace.finalizing <= self.expires else BatchStage.EXPIRED
        if now >= self.worked:
            return BatchStage.FINALIZING
        return BatchStage.IN_PROGRESS if now >= self.started else BatchStage.VALIDATING

    def plan_work(self, rng: Random, stragglers: float = 0.0) -> None:
        """Give each line the moment at which it is done, in an order that is not theirs; some never are."""
        order = rng.sample(self.lines, len(self.lines))
        working = order[: len(order) - math.ceil(stragglers * len(order))]
        for rank, line in enumerate(working, 1):
            line.done = self.started + self.pace.working * rank / len(order)
        self.waiting = working[::-1]
        if len(working) == len(order) and not self.never_ends:
            self.worked = order[-1].done if order else self.started

    def due(self, now: float) -> Iterator[FakeLine]:
        """Yield the lines that are done by now and have no answer yet; they are to get it."""
        last = min(now, self.stopped)
        while self.waiting and self.waiting[-1].done <= last and not self.problems:
            line = self.waiting.pop()
            self.answered.append(line)
            yield line

    def gives_finished(self, now: float) -> bool:
        """Tell whether answers are given, and not lost with an expiry."""
        return self.keeps_finished or self.stage(now) is not BatchStage.EXPIRED

    def finished(self, now: float) -> list[FakeLine]:
        """Return the answered lines that the vendor gives, in the order in which they were done."""
        return list(self.answered) if self.gives_finished(now) else []

    def left(self, now: float) -> list[FakeLine]:
        """Return the lines without an answer that is given."""
        given = self.gives_finished(now)
        return [line for line in self.lines if not given or line.reply is None]
