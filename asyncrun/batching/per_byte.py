"""How many tokens a byte of text stands for, by what a server has counted so far."""

from __future__ import annotations

from asyncrun.batching.pack import safe_bound

FIRST_ESTIMATE = 1 / 3
ENOUGH_BYTES = 20_000
"""After so many bytes it is known how many tokens a byte stands for in these texts."""
MARGIN = 1.3
"""Above the mean of tokens per byte, for batches that have more: one that has more still is halved when the server says so."""


class TokensPerByte:
    """Learns from what was answered.

    >>> per_byte = TokensPerByte()
    >>> per_byte.add(tokens=10, size=40)
    >>> per_byte.mean, per_byte.bound
    (0.25, 1.0)
    """

    def __init__(self) -> None:
        self._tokens = self._bytes = 0

    def add(self, *, tokens: int, size: int) -> None:
        """Add texts of `size` bytes that a server counted as so many tokens."""
        self._tokens += tokens
        self._bytes += size

    @property
    def mean(self) -> float:
        """Return the tokens of a byte for the limiter, a rule of thumb at first; what the server counts replaces it."""
        return self._tokens / self._bytes if self._bytes else FIRST_ESTIMATE

    @property
    def bound(self) -> float:
        """Return the most tokens of a byte, as far as is known: 1.0 is the safe bound."""
        return min(MARGIN * self._tokens / self._bytes, safe_bound()) if self._bytes >= ENOUGH_BYTES else safe_bound()
