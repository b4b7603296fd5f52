"""The stopwatch of a waiting line: for what its head waits, and how much of that fell into one waiter's stay."""

from __future__ import annotations

import math
from collections.abc import Mapping

from asyncrun.clock import Clock
from asyncrun.records import Waits


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
