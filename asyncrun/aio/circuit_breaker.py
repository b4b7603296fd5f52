"""The circuit breaker of an endpoint: opens when so many batches failed in a row that going on makes no sense."""

from __future__ import annotations


class CircuitBreaker:
    """Counts batches that failed in a row, over all jobs that use an endpoint; at `threshold` it opens and stays open.

    >>> circuit = CircuitBreaker(threshold=2)
    >>> circuit.failed(); circuit.succeeded(); circuit.failed(); circuit.is_open
    False
    >>> circuit.failed(); circuit.is_open
    True
    """

    def __init__(self, threshold: int = 20) -> None:
        if threshold < 1:
            raise ValueError(f"threshold must be 1 or more, not {threshold}")
        self.threshold = threshold
        self._failures = 0
        self._successes = 0
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether nothing more should be sent."""
        return self._open

    @property
    def successes(self) -> int:
        """How many batches succeeded so far: two readings tell whether anything succeeded in between."""
        return self._successes

    def succeeded(self) -> None:
        """Tell that a batch succeeded: the row of failures ends."""
        self._successes += 1
        self._failures = 0

    def failed(self) -> None:
        """Tell that a batch used up its attempts."""
        self._failures += 1
        self._open = self._open or self._failures >= self.threshold
