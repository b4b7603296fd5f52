"""What a worker does at this moment: its job, the attempt, and what it waits for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from asyncrun.clock import Clock


@dataclass(slots=True, eq=False, weakref_slot=True)
class Slot:
    """One worker, as the code that runs in it and an onlooker see it.

    `index` is that of the job, `start` and `end` are its times, `attempts` how many were counted, `waited` the seconds it has waited
    for permission (not for answers), `waits_for` what it waits for now (None while it works), and `job` the coroutine itself.
    """

    clock: Clock
    index: int = -1
    start: float = 0.0
    end: float = 0.0
    attempts: int = 0
    waited: float = 0.0
    waits_for: str | None = None
    job: Any = None
    given_up: bool = False


slot_of_job: ContextVar[Slot | None] = ContextVar("asyncrun_slot", default=None)
"""The slot that the running code is in; None outside of a pool."""


@contextmanager
def waiting(reason: str, *, idle: bool = True) -> Generator[None, None, None]:
    """Say what the job waits for while the block runs: `limiter`, `gate`, `backoff`, `request`, `store`.

    Seconds of an `idle` wait count as waiting, others (a request that is under way) as running. Outside of a pool it does nothing.
    """
    slot = slot_of_job.get()
    if slot is None:
        yield
        return
    before, slot.waits_for = slot.waits_for, reason
    start = slot.clock.monotonic()
    try:
        yield
    finally:
        slot.waits_for = before
        if idle:
            slot.waited += slot.clock.monotonic() - start


def count_attempt() -> None:
    """Count one attempt of the running job; outside of a pool it does nothing."""
    slot = slot_of_job.get()
    if slot is not None:
        slot.attempts += 1
