"""What a worker does at this moment: its job, the attempt, and what it waits for; for the job itself and for onlookers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from asyncrun.clock import Clock


@dataclass(slots=True, eq=False)
class Slot:
    """One worker, as the code that runs in it and an onlooker see it.

    `index` is that of the job, `start` and `end` are its times, `attempts` how many were counted, `waited` the seconds it has waited
    for permission (not for answers), `waits_for` what it waits for now (None while it works), `reasons` all of that if it is several
    things (`idle` of them for permission, since `idle_since`), and `job` the coroutine itself. `words` returns what it waits for as a
    person is told, None where nothing is to be told. `given_up` says that the job has been cancelled again and again without ending.
    """

    clock: Clock
    index: int = -1
    start: float = 0.0
    end: float = 0.0
    attempts: int = 0
    waited: float = 0.0
    waits_for: str | None = None
    reasons: tuple[str, ...] = ()
    idle: int = 0
    idle_since: float = 0.0
    words: Callable[[], str | None] | None = None
    job: Any = None
    given_up: bool = False


slot_of_job: ContextVar[Slot | None] = ContextVar("asyncrun_slot", default=None)
"""The slot that the running code is in; None outside of a pool."""


class Roster:
    """The slots of the pools that begin inside of `roster`, for an onlooker such as the stall report; a roster around has them too."""

    def __init__(self, around: Roster | None = None) -> None:
        self._around = around
        self._slots: set[Slot] = set()
        self._finished = 0

    def slots(self) -> list[Slot]:
        """Return the slots that hold a job at the moment."""
        return [slot for slot in self._slots if slot.job is not None]

    def finished(self) -> int:
        """Return how many jobs have ended so far."""
        return self._finished

    def enter(self, slot: Slot) -> None:
        """Add a slot."""
        self._slots.add(slot)
        if self._around is not None:
            self._around.enter(slot)

    def leave(self, slot: Slot) -> None:
        """Remove a slot; it may be gone already."""
        self._slots.discard(slot)
        if self._around is not None:
            self._around.leave(slot)

    def count(self, slot: Slot) -> None:
        """Count the job in this slot as ended."""
        slot.job = None
        self._finished += 1
        if self._around is not None:
            self._around.count(slot)


roster_of_pools: ContextVar[Roster | None] = ContextVar("asyncrun_roster", default=None)
"""Where a pool that begins here enters its slots; None when nobody looks on."""


@contextmanager
def roster() -> Generator[Roster, None, None]:
    """Open a roster for the pools that begin while the block runs, those in tasks and jobs that it begins included.

    Usage: `with roster() as seen: ... watch(seen.slots, seen.finished, ...)`
    """
    before = roster_of_pools.get()
    seen = Roster(before)
    roster_of_pools.set(seen)
    try:
        yield seen
    finally:
        roster_of_pools.set(before)


@contextmanager
def waiting(reason: str, *, idle: bool = True, words: Callable[[], str | None] | None = None) -> Generator[None, None, None]:
    """Say what the job waits for while the block runs.

    It is `queue`, `limiter`, `gate`, `backoff`, `connect`, `request`, `compute`, `store`, or `another job`.

    Seconds of an `idle` wait count as waiting, others (a request that is under way) as running. `words` says it to a person, as it stands
    when it is called. Outside of a pool it does nothing.
    """
    slot = slot_of_job.get()
    if slot is None:
        yield
        return
    slot.reasons = (*slot.reasons, reason)
    slot.waits_for = reason
    slot.words = words
    if idle:
        if not slot.idle:
            slot.idle_since = slot.clock.monotonic()
        slot.idle += 1
    try:
        yield
    finally:
        # Tasks of one job may wait side by side, and end in any order: seconds are counted once, from the first to the last.
        place = slot.reasons.index(reason)
        slot.reasons = slot.reasons[:place] + slot.reasons[place + 1 :]
        slot.waits_for = slot.reasons[-1] if slot.reasons else None
        slot.words = None
        if idle:
            slot.idle -= 1
            if not slot.idle:
                slot.waited += slot.clock.monotonic() - slot.idle_since


def count_attempt() -> None:
    """Count one attempt of the running job; outside of a pool it does nothing."""
    slot = slot_of_job.get()
    if slot is not None:
        slot.attempts += 1


def discount_attempt() -> None:
    """Take back the attempt that was counted last; outside of a pool it does nothing."""
    slot = slot_of_job.get()
    if slot is not None:
        slot.attempts -= 1
