"""How alike two vectors are, as LlamaIndex counts it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Vector = Sequence[float] | NDArray[np.float32]
LEAST_COSINE = 0.999
"""Two servers of one model round differently, and no more than that."""
KNOWN_TEXT = "The quick brown fox jumps over the lazy dog."
"""What a place embeds before its first batch, so that its vector can be compared."""


class SimilarityMode(StrEnum):
    """What is compared: the angle, the product, or the distance."""

    DEFAULT = "cosine"
    DOT_PRODUCT = "dot_product"
    EUCLIDEAN = "euclidean"


def similarity(embedding1: Vector, embedding2: Vector, mode: SimilarityMode | str = SimilarityMode.DEFAULT) -> float:
    """Return how alike two vectors of equal length are; higher is more alike in every mode.

    Cosine lies in -1..1 and is NaN for a vector of zeros; euclidean is the distance with a minus sign, so that ranks agree.

    >>> round(similarity([3.0, 4.0], [4.0, 3.0]), 2), similarity([3.0, 0.0], [0.0, 4.0], "euclidean")
    (0.96, -5.0)

    Raises ValueError for an unknown mode, or vectors of different length.
    """
    mode = SimilarityMode(mode)
    first, second = np.asarray(embedding1, dtype=np.float64), np.asarray(embedding2, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"vectors of {first.size} and {second.size} numbers cannot be compared")
    if mode is SimilarityMode.EUCLIDEAN:
        return -float(np.linalg.norm(first - second))
    product = float(np.dot(first, second))
    if mode is SimilarityMode.DOT_PRODUCT:
        return product
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return product / norms if norms else float("nan")
