"""Batches: a stream of sized texts is packed to a provider's limits, a refused batch is divided, and tokens are known by bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

FIRST_ESTIMATE = 1 / 3
"""Tokens of a byte, as long as no server has counted any."""
ENOUGH_BYTES = 20_000
"""After so many bytes it is known how many tokens a byte stands for in these texts."""
MARGIN = 1.3
"""Above the mean of tokens per byte, for batches that have more: one that has more still is halved when the server says so."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one request may carry; None: no limit known."""

    max_items: int = 128
    max_tokens: int | None = None
    max_bytes: int | None = None


def safe_bound() -> float:
    """Return the most tokens that a byte of UTF-8 can stand for: no tokenizer makes more tokens than bytes."""
    return 1.0


def pack(sized: Iterable[tuple[T, int]], limits: BatchLimits, tokens_per_byte: Callable[[], float] = safe_bound) -> Iterator[list[T]]:
    """Yield batches of a stream of (thing, its bytes), each as full as the order allows.

    No batch holds more than the limits say, except that a thing which alone is larger than a limit gets a batch of its own: whether it
    is too long is for the endpoint to say. At most one batch is held at a time, so the stream may be endless. `tokens_per_byte` is asked
    anew for every batch, since what an endpoint counts is learned while it works.

    >>> list(pack([("a", 3), ("b", 3), ("c", 9), ("d", 1)], BatchLimits(max_tokens=8)))
    [['a', 'b'], ['c'], ['d']]
    """
    batch: list[T] = []
    held, most = 0, _most_bytes(limits, tokens_per_byte())
    for thing, size in sized:
        if batch and (len(batch) >= limits.max_items or held + size > most):
            yield batch
            batch, held, most = [], 0, _most_bytes(limits, tokens_per_byte())
        batch.append(thing)
        held += size
    if batch:
        yield batch


def _most_bytes(limits: BatchLimits, tokens_per_byte: float) -> float:
    tokens = math.inf if limits.max_tokens is None else limits.max_tokens / tokens_per_byte
    return min(tokens, math.inf if limits.max_bytes is None else limits.max_bytes)


def byte_size(text: str) -> int:
    """Return the bytes of a text in UTF-8, which also bounds its tokens from above (no tokenizer makes more tokens than bytes).

    >>> byte_size("naïve")
    6
    """
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def split(batch: Sequence[T], cap: int | None = None) -> list[Sequence[T]]:
    """Return the parts that a refused batch is sent again in, in order; a batch of one is not split further.

    `cap` is the number of things that the endpoint says it takes; parts are then at most that large. Halving costs at most
    2 k log2(n / k) + 2 k requests for k bad texts of n.

    >>> split("abcdefgh"), split("abcdefgh", cap=3)
    (['abcd', 'efgh'], ['abc', 'def', 'gh'])
    """
    if len(batch) <= 1:
        return [batch]
    size = (len(batch) + 1) // 2
    if cap is not None and 0 < cap < len(batch):
        size = cap
    return [batch[start : start + size] for start in range(0, len(batch), size)]


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
