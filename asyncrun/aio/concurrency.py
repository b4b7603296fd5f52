"""Adaptive concurrency: how many requests may be in flight (additive increase, multiplicative decrease). Pure: times in, a number out."""

from __future__ import annotations

import math

START = 2
AFTER_THROTTLE = 0.5
AFTER_TIMEOUT = 0.9


class Concurrency:
    """Starts at 2, grows by 1 for each window of successes as long as itself, shrinks when the endpoint is overloaded; 1 to `cap`.

    It is cut at most once per round trip: a failure of a request that was sent before the last cut says nothing about what came of it.
    Latency plays no part: that of an embedding request varies with its tokens. Not `adaptive`, it is `cap` all the time.

    >>> concurrency = Concurrency(cap=8)
    >>> concurrency.succeeded(); concurrency.succeeded(); concurrency.limit
    3
    >>> concurrency.throttled(sent=1.0, now=2.0), concurrency.throttled(sent=1.5, now=2.5), concurrency.limit
    (True, False, 1)
    """

    def __init__(self, cap: int, *, adaptive: bool = True) -> None:
        if cap < 1:
            raise ValueError(f"concurrency must be 1 or more, not {cap}")
        self._cap = cap
        self._adaptive = adaptive
        self._limit = float(min(START, cap) if adaptive else cap)
        self._successes = 0
        self._last_cut = -math.inf

    @property
    def limit(self) -> int:
        """How many requests may be in flight."""
        return int(self._limit)

    def succeeded(self) -> None:
        """Tell that a request succeeded."""
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self._limit = float(min(self._cap, self.limit + 1))

    def throttled(self, *, sent: float, now: float) -> bool:
        """Tell that the endpoint refused a request as too fast; return whether this was news."""
        return self._cut(AFTER_THROTTLE, sent, now)

    def timed_out(self, *, sent: float, now: float) -> bool:
        """Tell that a request took too long; return whether this was news."""
        return self._cut(AFTER_TIMEOUT, sent, now)

    def _cut(self, factor: float, sent: float, now: float) -> bool:
        if sent <= self._last_cut:
            return False
        self._last_cut = now
        self._successes = 0
        if self._adaptive:
            self._limit = max(1.0, self._limit * factor)
        return True
