"""Folded events, many that are alike as one: exact counts and sums, what they have in common, and how much time they cover."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from asyncrun.trace.attributes import MOST_ATTRIBUTES, Plain
from asyncrun.trace.percentiles import DurationHistogram

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NOT_SUMMED = frozenset({"index", "number", "dimensions", "top_k", "http.response.status_code"})
"""Numbers that count nothing."""
MOST_PARTS = 64
"""Separate stretches of time that can still be joined; of earlier ones only the sum is known."""


class FoldedEvents:
    """What is known of folded events; times are those of the monotonic clock."""

    __slots__ = ("_texts", "count", "failed", "first", "last", "least", "most", "own", "seconds", "sums")

    def __init__(self) -> None:
        self.count = 0
        self.failed = 0
        self.seconds = 0.0
        self.own = 0.0
        self.first = self.least = float("inf")
        self.last = self.most = float("-inf")
        self.sums: dict[str, int | float] = {}
        self._texts: dict[str, str] | None = None

    def add(self, start: float, end: float, own: float, attributes: Mapping[str, Plain], *, failed: bool) -> None:
        """Fold one event."""
        self._count(1, end - start, own)
        self._stretch(start, end, end - start, end - start)
        self.failed += failed
        sums = self.sums
        for key, value in attributes.items():
            if isinstance(value, str):
                continue
            if key in sums:
                sums[key] += value
            elif key not in NOT_SUMMED and len(sums) < MOST_ATTRIBUTES:
                sums[key] = value
        if self._texts is None:
            self._texts = {key: value for key, value in attributes.items() if isinstance(value, str)}
        elif self._texts:
            self._texts = {key: value for key, value in self._texts.items() if attributes.get(key) == value}

    def add_many(self, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> None:
        """Fold many events that succeeded, have no children and no attributes; there is at least one."""
        seconds = ends - starts
        total = float(seconds.sum())
        self._count(len(starts), total, total)
        self._stretch(float(starts.min()), float(ends.max()), float(seconds.min()), float(seconds.max()))
        self._texts = {}

    def merge(self, other: FoldedEvents) -> None:
        """Fold what the other has folded."""
        self._count(other.count, other.seconds, other.own)
        self._stretch(other.first, other.last, other.least, other.most)
        self.failed += other.failed
        self._sum(other.sums)
        self._keep(other._texts or {})

    def attributes(self, alike: DurationHistogram) -> dict[str, Plain]:
        """Return what is stored of them; `alike` are the durations of all that are alike."""
        counts = {"folded.failed": self.failed} if self.failed else {}
        return {
            "folded.count": self.count,
            **counts,
            "folded.seconds": self.seconds,
            "folded.own": self.own,
            "folded.min": self.least,
            "folded.max": self.most,
            "folded.p50": alike.at(0.5),
            "folded.p95": alike.at(0.95),
            **self.sums,
            **(self._texts or {}),
        }

    def _count(self, count: int, seconds: float, own: float) -> None:
        self.count += count
        self.seconds += seconds
        self.own += own

    def _stretch(self, first: float, last: float, least: float, most: float) -> None:
        self.first, self.last = min(self.first, first), max(self.last, last)
        self.least, self.most = min(self.least, least), max(self.most, most)

    def _sum(self, numbers: Mapping[str, int | float]) -> None:
        for key, value in numbers.items():
            if key in self.sums:
                self.sums[key] += value
            elif key not in NOT_SUMMED and len(self.sums) < MOST_ATTRIBUTES:
                self.sums[key] = value

    def _keep(self, texts: dict[str, str]) -> None:
        known = texts if self._texts is None else self._texts
        self._texts = {key: value for key, value in known.items() if texts.get(key) == value}


class CoveredTime:
    """Joins intervals as they come, about in the order of their ends.

    >>> busy = CoveredTime()
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
