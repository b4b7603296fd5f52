"""How much time at least one of many overlapping events covers, told as they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_PARTS = 64
"""Separate stretches of time that can still be joined; of earlier ones only the sum is known."""


class Busy:
    """Joins intervals as they come, about in the order of their ends.

    >>> busy = Busy()
    >>> for start, end in ((0, 2), (5, 6), (1, 3)):
    ...     busy.add(start, end)
    >>> busy.seconds
    4.0
    """

    __slots__ = ("_before", "_floor", "_parts")

    def __init__(self) -> None:
        self._parts: list[tuple[float, float]] = []
        self._floor = float("-inf")
        self._before = 0.0

    @property
    def seconds(self) -> float:
        """Return how much time is covered."""
        return self._before + sum(end - start for start, end in self._parts)

    def add(self, start: float, end: float) -> None:
        """Cover the time from `start` to `end`."""
        start = max(start, self._floor)
        if end <= start:
            return
        parts = self._parts
        later = []
        while parts and parts[-1][0] > end:
            later.append(parts.pop())
        while parts and parts[-1][1] >= start:
            before = parts.pop()
            start, end = min(start, before[0]), max(end, before[1])
        parts.append((start, end))
        parts.extend(reversed(later))
        if len(parts) > MOST_PARTS:
            first, self._floor = parts.pop(0)
            self._before += self._floor - first

    def add_many(self, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> None:
        """Cover many intervals; short gaps between them are not filled by what comes later."""
        import numpy as np

        order = np.argsort(starts)
        starts, reached = starts[order], np.maximum.accumulate(ends[order])
        gaps = np.maximum(starts[1:] - reached[:-1], 0.0).sum()
        self.add(float(starts[0]), float(reached[-1]))
        self._before -= float(gaps)
