"""The time of the fake batch servers: it can run faster than ours, and be put forward."""

from __future__ import annotations

import time
from collections.abc import Callable


class ServerClock:
    """Virtual seconds since 1970: from now on, `speed` of them a second.

    >>> clock = ServerClock(speed=60.0, real=lambda: 100.0)
    >>> clock.advance(5.0)
    >>> clock.now()
    105.0
    """

    def __init__(self, speed: float = 1.0, real: Callable[[], float] = time.time) -> None:
        self._speed = speed
        self._real = real
        self._start = real()
        self._ahead = 0.0

    def now(self) -> float:
        """Return virtual seconds since 1970."""
        return self._start + (self._real() - self._start) * self._speed + self._ahead

    def advance(self, seconds: float) -> None:
        """Let so many virtual seconds pass at once."""
        self._ahead += seconds
