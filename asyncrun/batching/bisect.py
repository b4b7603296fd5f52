"""Splits a rejected batch so that the guilty text is found with few requests and the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def split(batch: Sequence[T], guilty: int | None = None, cap: int | None = None) -> list[Sequence[T]]:
    """Return the parts that a rejected batch is sent again in, in order; a batch of one is not split further.

    Args:
        batch: What was sent together.
        guilty: The index that the endpoint named: it goes alone, its neighbours stay together.
        cap: The number of things that the endpoint says it takes; parts are then at most that large.

    Halving costs at most 2 k log2(n / k) + 2 k requests for k guilty of n.

    >>> split("abcdefgh")
    ['abcd', 'efgh']
    >>> split("abcdefgh", guilty=2)
    ['ab', 'c', 'defgh']
    >>> split("abcdefgh", cap=3)
    ['abc', 'def', 'gh']
    """
    if len(batch) <= 1:
        return [batch]
    if guilty is not None and 0 <= guilty < len(batch):
        parts = [batch[:guilty], batch[guilty : guilty + 1], batch[guilty + 1 :]]
        return [part for part in parts if len(part)]
    size = (len(batch) + 1) // 2
    if cap is not None and 0 < cap < len(batch):
        size = cap
    return [batch[start : start + size] for start in range(0, len(batch), size)]
