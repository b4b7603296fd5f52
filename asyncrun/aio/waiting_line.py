"""The waiting line of a limiter: first come, first served, with what its head waits for and how many seconds of that were each one's."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

from asyncrun.clock import Clock
from asyncrun.usage import Waits

Obstacle = tuple[str, float]
"""What holds a request back (queue, rate or gate), and for how many seconds; infinite when it waits for an event."""


class WaitingLine:
    """Lets one in after the other: the head waits until nothing holds it back, the others wait for the head.

    `reason` is what the head waits for (queue, rate, gate), None when it does not. The seconds are added up by reason, so that what one
    waiter has waited is the difference of two sums.
    """

    def __init__(self, clock: Clock) -> None:
        self.reason: str | None = None
        self._clock = clock
        self._line: deque[asyncio.Future[None]] = deque()
        self._changed: asyncio.Future[None] | None = None
        self._sums = {"queue": 0.0, "rate": 0.0, "gate": 0.0}
        self._since = 0.0
        self._until = math.inf

    def __len__(self) -> int:
        return len(self._line)

    @property
    def left(self) -> float:
        """How many seconds the head has still to wait; infinite when it waits for an event."""
        return max(0.0, self._until - self._clock.monotonic())

    async def wait(self, obstacle: Callable[[], Obstacle | None], enter: Callable[[], None]) -> Waits:
        """Stand in line until `obstacle` returns None, call `enter` before the next one's turn, and return what was waited."""
        before, asked = self._seconds(), self._clock.monotonic()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            if self._line[0] is not turn:
                await turn
            while held := obstacle():
                await self._pause(*held)
            enter()
            now = self._seconds()
            spent = {reason: now[reason] - seconds for reason, seconds in before.items()}
            # The rest was standing in line behind requests that were let in one by one.
            spent["queue"] += max(self._clock.monotonic() - asked - sum(spent.values()), 0.0)
            return Waits(**spent)
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
        self.reason = reason
        self._since = self._clock.monotonic()
        self._until = self._since + seconds
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in done:
                end.result()
        finally:
            self._sums = self._seconds()
            self.reason = None
            for end in ends:
                end.cancel()

    def _seconds(self) -> dict[str, float]:
        """Return the seconds so far, by reason."""
        sums = dict(self._sums)
        if self.reason is not None:
            sums[self.reason] += self._clock.monotonic() - self._since
        return sums
