"""The gate: shut for everybody after a throttle, opened again for a probe first. Pure: times in, waits out."""

from __future__ import annotations

import math
import random

BACKOFF = 0.5
BACKOFF_MAX = 60.0
JITTER = 0.1


class Gate:
    """Remembers until when an endpoint wants to be left alone, and whether it has answered well since.

    >>> gate = Gate(random.Random(1))
    >>> gate.shut(now=0.0, hint=20.0, news=True)
    >>> 20.0 <= gate.wait(now=0.0) <= 22.0, gate.wait(now=22.0), gate.recovering
    (True, 0.0, True)
    >>> gate.succeeded(sent=22.0); gate.recovering
    False
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._opens_at = -math.inf
        self._throttles = 0

    @property
    def opens_at(self) -> float:
        """The time before which nothing may go."""
        return self._opens_at

    @property
    def recovering(self) -> bool:
        """Whether no request has succeeded since the last throttle."""
        return self._throttles > 0

    def wait(self, now: float) -> float:
        """Return the seconds until the gate opens, 0 when it is open."""
        return max(0.0, self._opens_at - now)

    def shut(self, now: float, hint: float | None, *, news: bool) -> None:
        """Shut the gate for `hint` seconds or the backoff, whichever is longer, and up to a tenth more.

        The backoff doubles with each throttle in a row that is `news`: refusals of one volley count once.
        """
        self._throttles += news
        backoff = min(BACKOFF_MAX, BACKOFF * 2.0 ** min(self._throttles, 16))
        asked = hint if hint is not None and math.isfinite(hint) else 0.0
        wait = max(asked, backoff / 2 + self._rng.uniform(0.0, backoff / 2))
        # Other processes were told the same time: the jitter keeps them apart.
        self._opens_at = max(self._opens_at, now + wait * (1.0 + self._rng.uniform(0.0, JITTER)))

    def succeeded(self, sent: float) -> None:
        """Tell that a request succeeded; one that went before the gate was shut proves nothing."""
        if sent >= self._opens_at:
            self._throttles = 0
