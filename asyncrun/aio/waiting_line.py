"""The waiting line of a limiter: first come, first served, with what its head waits for and how many seconds of that were each one's."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping

from asyncrun.clock import Clock
from asyncrun.usage import Waits

Obstacle = tuple[str, float]
"""What holds a request back (queue, rate or gate), and for how many seconds; infinite when it waits for an event."""


class WaitingLine:
    """Lets one in after the other: the head waits until nothing holds it back, the others wait for the head."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._line: deque[asyncio.Future[None]] = deque()
        self._changed: asyncio.Future[None] | None = None
        self._stopwatch = Stopwatch(clock)

    def __len__(self) -> int:
        return len(self._line)

    @property
    def reason(self) -> str | None:
        """For what the head waits; None when it does not."""
        return self._stopwatch.reason

    @property
    def left(self) -> float:
        """How many seconds the head has still to wait; infinite when it waits for an event."""
        return self._stopwatch.left

    async def wait(self, obstacle: Callable[[], Obstacle | None], enter: Callable[[], None]) -> Waits:
        """Stand in line until `obstacle` returns None, call `enter` before the next one's turn, and return what was waited."""
        before, asked = self._stopwatch.read(), self._clock.monotonic()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            if self._line[0] is not turn:
                await turn
            while held := obstacle():
                await self._pause(*held)
            enter()
            waits = self._stopwatch.since(before)
            # The rest was standing in line behind requests that were let in one by one.
            rest = self._clock.monotonic() - asked - waits.queue - waits.rate - waits.gate
            return waits + Waits(queue=max(rest, 0.0))
        finally:
            self._line.remove(turn)
            if self._line and not self._line[0].done():
                self._line[0].set_result(None)

    def wake(self) -> None:
        """Let the head look again: something has changed."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _pause(self, reason: str, seconds: float) -> None:
        """Wait until the time is over or something has changed."""
        self._changed = asyncio.get_running_loop().create_future()
        ends: list[asyncio.Future[None]] = [self._changed]
        if seconds < math.inf:
            ends.append(asyncio.ensure_future(self._clock.sleep(seconds)))
        self._stopwatch.start(reason, seconds)
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in done:
                end.result()
        finally:
            self._stopwatch.stop()
            for end in ends:
                end.cancel()


class Stopwatch:
    """Adds up for what the head of a line waits (queue, rate, gate); what one waiter waited is the difference of two readings."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._totals = {"queue": 0.0, "rate": 0.0, "gate": 0.0}
        self._since = 0.0
        self._until = math.inf
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        """For what the head waits; None when it does not."""
        return self._reason

    @property
    def left(self) -> float:
        """How many seconds the head has still to wait; infinite when it waits for an event."""
        return max(0.0, self._until - self._clock.monotonic())

    def start(self, reason: str, seconds: float) -> None:
        """Tell that the head begins to wait."""
        self._reason = reason
        self._since = self._clock.monotonic()
        self._until = self._since + seconds

    def stop(self) -> None:
        """Tell that the head has ended waiting."""
        self._totals = self.read()
        self._reason = None

    def read(self) -> dict[str, float]:
        """Return the seconds so far, by reason."""
        totals = dict(self._totals)
        if self._reason is not None:
            totals[self._reason] += self._clock.monotonic() - self._since
        return totals

    def since(self, before: Mapping[str, float]) -> Waits:
        """Return the seconds that have passed since an earlier reading."""
        now = self.read()
        return Waits(**{reason: now[reason] - seconds for reason, seconds in before.items()})
