"""Whether two vectors, two endpoints or two replies are of the same model: vectors of two models do not mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asyncrun.errors import SpaceMismatchError
from asyncrun.short_help import ShortHelpEnum

if TYPE_CHECKING:
    from asyncrun.endpoints.endpoint import Endpoint
    from asyncrun.records import Vectors

Vector = Sequence[float] | NDArray[np.float32]
LEAST_COSINE = 0.999
"""Two servers of one model round differently, and no more than that."""
KNOWN_TEXT = "The quick brown fox jumps over the lazy dog."
"""What an endpoint embeds before its first batch, so that its vector can be compared."""

_HINT = (
    "Name one version of the model, and an address where nothing else answers; or give the embedder another `space`: all is embedded anew "
    "in it. What was answered before is kept."
)


class SimilarityMode(StrEnum, metaclass=ShortHelpEnum):
    """What is compared: the angle, the product, or the distance.

    >>> similarity([3.0, 4.0], [3.0, 4.0], mode=SimilarityMode.DOT_PRODUCT)
    25.0
    """

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


def are_alike(vector: Vectors, reference: Vectors) -> bool:
    """Say whether two vectors of one text may be of one model."""
    return vector.shape == reference.shape and similarity(vector, reference) >= LEAST_COSINE


@dataclass(slots=True, eq=False)
class AnsweringModel:
    """The name that replies give the model: that in the first reply with one, None before; it may be another one than was asked for.

    One is kept for a whole run.
    """

    name: str | None = None

    def mismatch(self, replied: str | None, endpoint: Endpoint) -> SpaceMismatchError | None:
        """Return the error when a reply names another model than those before; one that names none says nothing."""
        self.name = self.name or replied or None
        if not replied or replied == self.name or self.name is None:
            return None
        before, now = endpoint.shown(self.name), endpoint.shown(replied)
        words = f"{endpoint.host} answered as {before} before and answers as {now}: vectors of two models would be mixed"
        return SpaceMismatchError(words, hint=_HINT)
