"""Percentiles of durations: of any number of them in a bounded number of counters, or exact where each is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST = 1e-7
"""Seconds; what is not longer counts as zero."""
CLASSES = 1000
"""The last class begins at about 300 years."""
# As DDSketch (Masson, Rim and Lee, 2019) has it: classes that grow by a factor bound the relative error.
WIDTH = log(1.04)


class DurationHistogram:
    """Counts durations by size, in classes of which each is 4 % wider than the one before: an answer is within 2 %.

    >>> histogram = DurationHistogram()
    >>> for seconds in (0.1, 0.2, 0.3, 0.4):
    ...     histogram.add(seconds)
    >>> round(histogram.at(0.5), 2)
    0.2
    """

    __slots__ = ("_counts", "count")

    def __init__(self) -> None:
        self.count = 0
        self._counts: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._add(0 if seconds <= SMALLEST else min(int(log(seconds / SMALLEST) / WIDTH) + 1, CLASSES), 1)

    def add_many(self, seconds: NDArray[np.float64]) -> None:
        """Count many durations."""
        import numpy as np

        sizes = np.log(np.maximum(seconds, SMALLEST) / SMALLEST) / WIDTH
        classes = np.minimum(sizes.astype(np.int64) + (seconds > SMALLEST), CLASSES)
        counts = np.bincount(classes)
        for index in np.flatnonzero(counts).tolist():
            self._add(index, int(counts[index]))

    def merge(self, other: DurationHistogram) -> None:
        """Count what the other has counted."""
        for index, number in other._counts.items():
            self._add(index, number)

    def at(self, share: float) -> float:
        """Return the duration that `share` (0 to 1) of all do not exceed; 0 when there are none."""
        rank = max(-(-self.count * round(share * 1000) // 1000), 1)
        for index in sorted(self._counts):
            rank -= self._counts[index]
            if rank <= 0:
                return SMALLEST * exp((index - 0.5) * WIDTH) if index else 0.0
        return 0.0

    def _add(self, index: int, number: int) -> None:
        self._counts[index] = self._counts.get(index, 0) + number
        self.count += number


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The percentiles of the durations of ended events, in seconds; all 0 when none has ended."""

    p50: float = 0.0
    p95: float = 0.0
    most: float = 0.0


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the values do not exceed; `ordered` is sorted, not empty.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    # Whole thousandths, because 0.95 * 20 is a little more than 19 as a float.
    rank = -(-len(ordered) * round(share * 1000) // 1000)
    return ordered[max(rank, 1) - 1]


def percentiles_of(seconds: Iterable[float], folds: Sequence[Mapping[str, object]] = ()) -> Percentiles:
    """Return the percentiles of durations; `folds` are the attributes of spans that stand for many more.

    >>> percentiles_of([0.3, 0.1, 0.2])
    Percentiles(p50=0.2, p95=0.3, most=0.3)
    """
    exact = sorted(seconds)
    if not folds:
        return Percentiles(percentile(exact, 0.5), percentile(exact, 0.95), exact[-1]) if exact else Percentiles()
    parts = [{key: _number(fold, f"folded.{key}") for key in ("count", "min", "max", "p50", "p95")} for fold in folds]
    most = max([part["max"] for part in parts] + exact[-1:])
    if len(parts) == 1:
        # Its percentiles are those of all that are alike, and the exact ones are among them.
        return Percentiles(min(parts[0]["p50"], most), min(parts[0]["p95"], most), most)
    points = [(value, 1.0) for value in exact]
    for part in parts:
        points += [(part["min"], part["count"] * 0.25), (part["p50"], part["count"] * 0.5), (part["p95"], part["count"] * 0.25)]
    points.sort()
    return Percentiles(_weighted(points, 0.5), _weighted(points, 0.95), most)


def _weighted(points: Sequence[tuple[float, float]], share: float) -> float:
    left = share * sum(weight for _, weight in points)
    for value, weight in points:
        left -= weight
        if left <= 1e-9:
            return value
    return points[-1][0]


def _number(fold: Mapping[str, object], key: str) -> float:
    value = fold.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
