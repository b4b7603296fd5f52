"""What a fake server allows within a window of time: the window slides, and a refused request costs nothing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from asyncrun.short_help import ShortHelp

UNITS = ("requests", "tokens", "inputs")


@dataclass(frozen=True, slots=True)
class Quota(metaclass=ShortHelp):
    """How much is taken in any `seconds` seconds; None: no limit. `told` is whether the server's headers speak of it, as OpenAI's do.

    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> from asyncrun.testing import FakeServer
    >>> with FakeServer(quota=Quota(requests=100)).in_thread() as server:
    ...     embedder = OpenAIEmbedding("m", base_url=server.base_url)
    ...     _ = embedder.get_text_embedding("Hello")
    ...     embedder.rate_limits.requests_per_minute
    100.0
    """

    requests: int | None = None
    tokens: int | None = None
    inputs: int | None = None
    seconds: float = 60.0
    told: bool = True


@dataclass(slots=True, eq=False)
class Meters:
    """Counts against a quota; times are monotonic and come from outside.

    >>> meters = Meters(Quota(requests=2, seconds=10))
    >>> [meters.admit({"requests": 1}, at) for at in (0.0, 4.0, 5.0, 10.0)]
    [0.0, 0.0, 5.0, 0.0]
    """

    quota: Quota
    _taken: dict[str, deque[tuple[float, int]]] = field(default_factory=lambda: {unit: deque() for unit in UNITS})

    def admit(self, amounts: Mapping[str, int], now: float) -> float:
        """Take a request at once and return 0, or return the seconds after which it would be taken, infinity where it never is."""
        wait = max((self._wait(unit, amount, now) for unit, amount in amounts.items()), default=0.0)
        if wait == 0:
            for unit, amount in amounts.items():
                self._taken[unit].append((now, amount))
        return wait

    def headers(self, now: float) -> dict[str, str]:
        """Return the limits and what is left of them, in OpenAI's words: brought to a minute; texts have none there."""
        found: dict[str, str] = {}
        windows = 60.0 / self.quota.seconds
        for unit in ("requests", "tokens"):
            limit = self._limit(unit)
            if limit is not None and self.quota.told:
                used = self._used(unit, now)
                # Until nothing is counted any more.
                reset = self._taken[unit][-1][0] + self.quota.seconds - now if used else 0.0
                found[f"x-ratelimit-limit-{unit}"] = str(int(limit * windows))
                found[f"x-ratelimit-remaining-{unit}"] = str(int((limit - used) * windows))
                found[f"x-ratelimit-reset-{unit}"] = f"{math.ceil(reset * 1000)}ms"
        return found

    def _limit(self, unit: str) -> int | None:
        limit: int | None = getattr(self.quota, unit)
        return limit

    def _used(self, unit: str, now: float) -> int:
        taken = self._taken[unit]
        while taken and taken[0][0] + self.quota.seconds <= now:
            taken.popleft()
        return sum(amount for _, amount in taken)

    def _wait(self, unit: str, amount: int, now: float) -> float:
        limit = self._limit(unit)
        if limit is None:
            return 0.0
        if amount > limit:
            return math.inf
        excess = self._used(unit, now) + amount - limit
        wait = 0.0
        for at, taken in self._taken[unit]:
            if excess <= 0:
                break
            excess -= taken
            wait = at + self.quota.seconds - now
        return wait
