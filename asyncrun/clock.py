"""Time, passed in: what the wall says, what only grows, sleeping; and how a suspended machine is known by it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """A source of time; tests pass one that does not wait."""

    def now(self) -> float:
        """Return seconds since 1970 (the wall clock; it may jump)."""

    def monotonic(self) -> float:
        """Return seconds that only grow; differences are durations."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        import asyncio

        await asyncio.sleep(seconds)


SHORTEST_SUSPENSION = 5.0
"""Seconds by which the wall clock must get ahead: a time server moves it by less at a time, a shorter sleep breaks no connection."""
LOOK_INTERVAL = 1.0
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of both clocks."""

    wall: float
    monotonic: float


def moment(clock: Clock) -> Moment:
    """Read both clocks."""
    return Moment(clock.now(), clock.monotonic())


def seconds_suspended(before: Moment, after: Moment) -> float:
    """Return for how many seconds the machine was suspended in between, 0 when it was not.

    The monotonic clock stands still meanwhile (CLOCK_MONOTONIC of Linux, `clock_gettime(2)`). A wall clock that is set looks the same,
    and one that is set back looks like nothing: so what follows from it must do no harm.

    >>> seconds_suspended(Moment(1000.0, 10.0), Moment(4605.0, 15.0))
    3600.0
    >>> seconds_suspended(Moment(1000.0, 10.0), Moment(1012.5, 20.0))
    0.0
    """
    ahead = (after.wall - before.wall) - (after.monotonic - before.monotonic)
    return ahead if ahead >= SHORTEST_SUSPENSION else 0.0


async def watch_suspension(clock: Clock, resumed: Callable[[float], Awaitable[None]]) -> None:
    """Call `resumed` with the seconds each time the machine turns out to have been suspended. Runs until it is cancelled."""
    before = moment(clock)
    while True:
        await clock.sleep(LOOK_INTERVAL)
        after = moment(clock)
        if seconds := seconds_suspended(before, after):
            await resumed(seconds)
        before = after
