"""Exact cosine search in memory: one matrix product for many questions, the same answer whatever they are asked together with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.records import Vectors

    Rows = NDArray[np.intp]
    Scores = NDArray[np.float64]

_SCORES_AT_ONCE = 1 << 24
"""64 MB of float32 scores: how many questions are multiplied together follows from the number of rows."""
_ROWS_AT_ONCE = 1 << 9
"""So few that they stay in the processor's cache in float64, too: a third faster than 8,192."""


def normalise(vectors: Vectors) -> None:
    """Give every row unit length, in place; a row of zeros stays. Lengths are taken in float64, where no float32 can overflow."""
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        block = vectors[start : start + _ROWS_AT_ONCE]
        wide = block.astype(np.float64)
        lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
        lengths[lengths == 0.0] = 1.0
        block[:] = wide / lengths


def best_rows(units: Vectors, questions: Vectors, counts: Sequence[int], allowed: Rows | None = None) -> Iterator[tuple[Rows, Scores]]:
    """Yield, per question, the best rows with their cosines: at most `counts[i]`, best first, equal scores by row number.

    `units` (n, d) are float32 of unit length, `questions` (m, d) of any length; `allowed` restricts the rows (ascending numbers).
    """
    asked = questions.astype(np.float32)
    normalise(asked)
    narrow = allowed is not None and len(allowed) < len(units) // 4
    rows = units[allowed] if narrow else units
    step = max(1, _SCORES_AT_ONCE // max(1, len(rows)))
    for start in range(0, len(asked), step):
        block = asked[start : start + step]
        rough = block @ rows.T
        if allowed is not None and not narrow:
            rough = rough[:, allowed]
        for question, scores, count in zip(block, rough, counts[start : start + step], strict=True):
            candidates = _candidates(scores, count, units.shape[1])
            if allowed is not None:
                candidates = allowed[candidates]
            exact = _exact(units, candidates, question)
            order = np.argsort(-exact, kind="stable")[:count]
            yield candidates[order], exact[order]


def _candidates(scores: NDArray[np.float32], count: int, dimensions: int) -> Rows:
    """Return all rows that may be among the best: a product's float32 sums depend on what else is multiplied, by up to d * 2^-24 each."""
    if count <= 0:
        return np.empty(0, dtype=np.intp)
    if count >= len(scores):
        return np.arange(len(scores))
    cut = np.partition(scores, len(scores) - count)[len(scores) - count]
    return np.flatnonzero(scores >= cut - dimensions * 2.0**-23)


def _exact(units: Vectors, rows: Rows, question: Vectors) -> Scores:
    """Return the cosines of rows, each summed by itself in float64, so that equal vectors have equal scores."""
    wide = question.astype(np.float64)
    parts = [(units[rows[i : i + _ROWS_AT_ONCE]] * wide).sum(axis=1) for i in range(0, len(rows), _ROWS_AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty(0)
