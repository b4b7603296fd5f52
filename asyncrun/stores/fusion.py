"""Reciprocal rank fusion: one ranking of several, by the places that each gives a hit."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

RRF_K = 60
"""The constant of reciprocal rank fusion: score = sum of 1 / (k + rank), ranks from 1 (Cormack, Clarke, Buettcher, SIGIR 2009)."""

Key = TypeVar("Key", bound=Hashable)


def fusion_depth(top_k: int) -> int:
    """Return how many of the best of each list are fused."""
    return max(100, 10 * top_k)


def fuse(rankings: Sequence[Sequence[Key]]) -> list[tuple[Key, float]]:
    """Return every key with its score by reciprocal rank fusion, best first.

    Equal scores stay in the order in which the keys are met: the first ranking from its best on, then the next.

    >>> [key for key, _ in fuse([["a", "b"], ["b", "c"]])]
    ['b', 'a', 'c']
    """
    scores: dict[Key, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (RRF_K + rank)
    return sorted(scores.items(), key=lambda item: -item[1])
