"""Quantiles of any number of durations in a bounded number of counters."""

from __future__ import annotations

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


class Quantiles:
    """Counts durations by size, in classes of which each is 4 % wider than the one before: an answer is within 2 %.

    >>> quantiles = Quantiles()
    >>> for seconds in (0.1, 0.2, 0.3, 0.4):
    ...     quantiles.add(seconds)
    >>> round(quantiles.at(0.5), 2)
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

    def merge(self, other: Quantiles) -> None:
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
