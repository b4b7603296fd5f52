"""Packs a stream of sized texts into batches that keep to a provider's limits, in order and lazily."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def pack(
    stream: Iterable[tuple[T, int, int]],
    *,
    max_items: int,
    max_tokens: int | None = None,
    max_bytes: int | None = None,
) -> Iterator[list[T]]:
    """Yield batches of a stream of (thing, its tokens, its bytes), each as full as the order allows.

    No batch holds more than `max_items` things, `max_tokens` tokens or `max_bytes` bytes, except that a thing which alone
    is larger than a limit gets a batch of its own: whether it is too long is for the endpoint to say.
    At most one batch is held at a time, so the stream may be endless.

    >>> list(pack([("a", 3, 3), ("b", 3, 3), ("c", 9, 9), ("d", 1, 1)], max_items=10, max_tokens=8))
    [['a', 'b'], ['c'], ['d']]
    """
    batch: list[T] = []
    all_tokens = all_bytes = 0
    for thing, tokens, size in stream:
        too_many_tokens = max_tokens is not None and all_tokens + tokens > max_tokens
        too_many_bytes = max_bytes is not None and all_bytes + size > max_bytes
        if batch and (len(batch) >= max_items or too_many_tokens or too_many_bytes):
            yield batch
            batch, all_tokens, all_bytes = [], 0, 0
        batch.append(thing)
        all_tokens += tokens
        all_bytes += size
    if batch:
        yield batch


def byte_size(text: str) -> int:
    """Return the bytes of a text in UTF-8, which also bounds its tokens from above (no tokenizer makes more tokens than bytes).

    >>> byte_size("naïve")
    6
    """
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
