"""What follows on a throttle: fewer requests in flight, and a gate that is shut and opened for a probe first. Pure: times in, waits out."""

from __future__ import annotations

import math
import random

FIRST_CONCURRENCY = 2
AFTER_THROTTLE, AFTER_TIMEOUT = 0.5, 0.9
"""What is left of the concurrency."""


class AdaptiveConcurrency:
    """Starts at 2, grows by 1 for each window of successes as long as itself, shrinks when the endpoint is overloaded; 1 to `cap`.

    It is cut at most once per round trip: a failure of a request that was sent before the last cut says nothing about what came of it.
    Latency plays no part: that of an embedding request varies with its tokens. Not `adaptive`, it is `cap` all the time.

    >>> concurrency = AdaptiveConcurrency(cap=8)
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
        self._limit = float(min(FIRST_CONCURRENCY, cap) if adaptive else cap)
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
        """Tell that the endpoint refused a request as too fast; return whether it is the first of its volley."""
        return self._cut(AFTER_THROTTLE, sent, now)

    def timed_out(self, *, sent: float, now: float) -> bool:
        """Tell that a request took too long; return whether it is the first of its volley."""
        return self._cut(AFTER_TIMEOUT, sent, now)

    def _cut(self, factor: float, sent: float, now: float) -> bool:
        if sent <= self._last_cut:
            return False
        self._last_cut = now
        self._successes = 0
        if self._adaptive:
            self._limit = max(1.0, self._limit * factor)
        return True


BACKOFF, BACKOFF_MAX = 0.5, 60.0
"""Seconds that the gate is shut for where the server asks for less: BACKOFF doubles with each throttle in a row, up to BACKOFF_MAX."""
JITTER = 0.1
"""The part of a wait that may come on top of it."""


class Gate:
    """Remembers until when an endpoint wants to be left alone, and whether it has answered well since.

    >>> gate = Gate(random.Random(1))
    >>> gate.shut(now=0.0, hint=20.0, first=True)
    >>> 20.0 <= gate.wait(now=0.0) <= 22.0, gate.wait(now=22.0), gate.recovering
    (True, 0.0, True)
    >>> gate.succeeded(sent=22.0); gate.recovering
    False
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.opens_at = -math.inf
        """The time before which nothing may go."""
        self._throttles = 0

    @property
    def recovering(self) -> bool:
        """Whether no request has succeeded since the last throttle."""
        return self._throttles > 0

    def wait(self, now: float) -> float:
        """Return the seconds until the gate opens, 0 when it is open."""
        return max(0.0, self.opens_at - now)

    def shut(self, now: float, hint: float | None, *, first: bool) -> None:
        """Shut the gate for `hint` seconds or the backoff, whichever is longer, and up to a tenth more.

        The backoff doubles with each throttle in a row that is the `first` of its volley.
        """
        self._throttles += first
        backoff = min(BACKOFF_MAX, BACKOFF * 2.0 ** min(self._throttles, 16))
        asked = hint if hint is not None and math.isfinite(hint) else 0.0
        wait = max(asked, backoff / 2 + self._rng.uniform(0.0, backoff / 2))
        # Other processes were told the same time: the jitter keeps them apart.
        self.opens_at = max(self.opens_at, now + wait * (1.0 + self._rng.uniform(0.0, JITTER)))

    def succeeded(self, sent: float) -> None:
        """Tell that a request succeeded; one that went before the gate was shut proves nothing."""
        if sent >= self.opens_at:
            self._throttles = 0
