"""How often a provider is asked how its batches stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from asyncrun.batches.interface import BatchEndpoint

GROWTH = 1.5
LONGEST = 10
"""Times the shortest pause."""
REHEARSAL = 0.2
"""The shortest pause where the provider is a server on this machine: nobody's limits are at stake."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks, at first; `settle` seconds pass before a batch that is not found is looked for again."""

    poll: float
    settle: float

    def pauses(self) -> Iterator[float]:
        """Yield the pauses, which grow.

        >>> from itertools import islice
        >>> list(islice(Pace(60.0, 30.0).pauses(), 7))
        [60.0, 90.0, 135.0, 202.5, 303.75, 455.625, 600.0]
        """
        pause = self.poll
        while True:
            yield pause
            pause = min(pause * GROWTH, LONGEST * self.poll)


def pace_of(endpoint: BatchEndpoint) -> Pace:
    """Return how often an endpoint is asked: a real one once a minute at most."""
    name = endpoint.host.rpartition(":")[0] or endpoint.host
    if name in ("localhost", "[::1]") or name.startswith("127."):
        return Pace(REHEARSAL, REHEARSAL)
    return Pace(endpoint.terms.poll, endpoint.terms.poll)
