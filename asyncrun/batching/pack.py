"""Packs a stream of sized texts into batches that keep to a provider's limits, in order and lazily."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


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
