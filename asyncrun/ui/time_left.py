"""What a task has sent and has still to send, and for how long: state in, seconds out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from asyncrun.usage import Load

MOST_OF_AN_OPEN_CALL = 0.95
"""As how much of it a call under way counts at most, however long it takes."""
LIMITED_BELOW = 0.5
"""Share of their time that calls must be worked on for; below it, a limit sets the pace and not the calls."""
LEAST_DIFFERENCE = 0.01
"""How unlike calls must be (0: all alike, 1: not at all) before what a text costs can be told from what a byte costs."""
MOST_BYTES_A_TEXT = 500
"""As much as so many bytes a text costs at most beside its own: what few calls say of it may be far off."""


@dataclass(frozen=True, slots=True)
class AnsweredCalls:
    """Calls that were answered: their load, the seconds that they took, how many of these they were worked on, and sums for a fit."""

    load: Load = field(default_factory=Load)
    took: float = 0.0
    worked: float = 0.0
    fit: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)

    def with_call(self, load: Load, took: float, worked: float) -> AnsweredCalls:
        """Return these with one more."""
        texts, size = load.texts, load.size
        products = (texts * texts, texts * size, size * size, texts * worked, size * worked)
        fit = tuple(before + more for before, more in zip(self.fit, products, strict=True))
        return AnsweredCalls(self.load + load, self.took + took, self.worked + worked, fit)

    @property
    def worked_share(self) -> float:
        """Return the share of their time in which calls were worked on: the rest they stood in a line."""
        return self.worked / self.took if self.took > 0 else 1.0

    def seconds(self, load: Load) -> float:
        """Return how long so much is worked on: so long for each text and each byte, by least squares; at a limit's pace, by bytes."""
        tt, ts, ss, ty, sy = self.fit
        difference, per_byte = tt * ss - ts * ts, self.worked / max(self.load.size, 1)
        if self.worked_share <= LIMITED_BELOW or difference <= LEAST_DIFFERENCE * tt * ss:
            return load.size * per_byte
        per_text = min(max((ty * ss - sy * ts) / difference, 0.0), MOST_BYTES_A_TEXT * per_byte)
        return load.texts * per_text + load.size * max((sy - per_text * ts) / ss, 0.0)


@dataclass(frozen=True, slots=True)
class Workload:
    """What a task sends: `left` is not answered yet, calls under way included; `under_way` are those, each with its beginning.

    `began` is when it began to send, `last_answer` when the last answer came. `first` is a first call that had nothing beside it (a small
    one that proves the model, before all others): it was answered before `began`.

    All times are seconds of the monotonic clock. What was done before the task began is in no number.
    """

    began: float
    left: Load = field(default_factory=Load)
    answered: AnsweredCalls = field(default_factory=AnsweredCalls)
    under_way: tuple[tuple[Load, float], ...] = ()
    last_answer: float = 0.0
    first: Load = field(default_factory=Load)

    def expect(self, left: Load) -> Workload:
        """Return this with so much left."""
        return replace(self, left=left)

    def send(self, load: Load, now: float) -> Workload:
        """Return this with one more call under way."""
        return replace(self, under_way=(*self.under_way, (load, now)))

    def receive(self, load: Load, now: float, waited: float | None) -> Workload:
        """Return this with a call of that load answered that `waited` so long in lines; None: it ended without an answer."""
        place = next((place for place, (other, _) in enumerate(self.under_way) if other == load), None)
        if place is None:
            return self
        began = self.under_way[place][1]
        under_way = (*self.under_way[:place], *self.under_way[place + 1 :])
        if waited is None:
            return replace(self, under_way=under_way)
        took = max(now - began, 0.0)
        answered = self.answered.with_call(load, took, max(took - waited, 0.0))
        if not under_way and not self.answered.took:
            return replace(self, began=now, left=self.left - load, answered=answered, under_way=(), last_answer=now, first=load)
        return replace(self, left=self.left - load, answered=answered, under_way=under_way, last_answer=now)

    @property
    def share(self) -> float:
        """Return how much of all is answered, from 0 to 1, by bytes."""
        done = self.answered.load.size
        return done / (done + self.left.size) if done else 0.0

    def seconds_left(self, now: float) -> float | None:
        """Return how long the rest takes; None before the first answer, and when nothing is left.

        The rest goes as fast as all before, calls under way counted by their age; and a call under way takes as long as one of its
        load does, even when nothing else is left to be sent beside it.
        """
        calls, left = self.answered, self.answered.seconds(self.left)
        if not left or not calls.worked:
            return None
        open_calls = [(calls.seconds(load), now - began) for load, began in self.under_way]
        done = calls.seconds(calls.load - self.first)
        half_done = calls.worked_share * sum(min(MOST_OF_AN_OPEN_CALL * whole, age) for whole, age in open_calls)
        # Of calls that stand in a line the first is worked on, as fast as all before.
        since = done * (now - self.last_answer) / max(self.last_answer - self.began, 1e-9)
        half_done = max(half_done, min(since, *(MOST_OF_AN_OPEN_CALL * whole for whole, _ in open_calls[:1])) if open_calls else 0.0)
        speed = (done + half_done) / max(now - self.began, 1e-9)
        return max((left - half_done) / (speed or 1.0), *(whole - age for whole, age in open_calls), 0.0)
