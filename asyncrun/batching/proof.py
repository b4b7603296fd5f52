"""Proves the vectors of a reply before any of them is believed: count, index set, dimension, finiteness, type."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from asyncrun.records import Vectors

_NUMBERS = frozenset({int, float})


class BadReplyError(Exception):
    """A reply of which no vector can be believed; the sentence says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """The vectors that stand the proof: row `i` of `vectors` (float32) belongs to input `positions[i]`.

    `rejected` says for every other position why its vector is not believed. `dimensions` is None when all are rejected.
    `other_dimensions` are the sizes of vectors that were rejected for their size.
    """

    vectors: Vectors
    positions: tuple[int, ...]
    rejected: dict[int, str]
    other_dimensions: frozenset[int] = frozenset()

    @property
    def dimensions(self) -> int | None:
        """Return how many numbers a vector has."""
        return int(self.vectors.shape[1]) if self.positions else None


def prove(rows: Sequence[object], indexes: Sequence[object] | None, count: int, dimensions: int | None = None) -> Proof:
    """Return the believable vectors of a reply to `count` texts, in the order of the texts.

    Args:
        rows: The vectors as decoded from JSON: lists of numbers, or base64 of little-endian float32.
        indexes: The index that the reply gives each row, None where it gives none; None as a whole for dialects without.
        count: How many texts were sent.
        dimensions: How many numbers a vector must have; None: all must have the same number.

    A row that is no vector (null, a NaN, a string, another dimension) is rejected alone, the rest is kept. Raises
    BadReplyError when it is not certain which row belongs to which text, or when rows differ in dimension and none is known to be right.

    >>> prove([[3.0, 4.0], [1, 2]], [1, 0], 2).vectors.tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    order = places(indexes if indexes is not None else [None] * len(rows), len(rows), count)
    vectors = np.empty((0, 0), np.float32)
    rejected: dict[int, str] = {}
    others: set[int] = set()
    size = dimensions
    for position, row in zip(order, rows, strict=True):
        vector = _vector(row)
        if isinstance(vector, str):
            rejected[position] = vector
        elif dimensions is not None and len(vector) != dimensions:
            others.add(len(vector))
            rejected[position] = f"the vector has {len(vector)} dimensions instead of {dimensions}"
        else:
            size = size or len(vector)
            if len(vector) != size:
                raise BadReplyError(f"the vectors have different dimensions: {size} and {len(vector)}")
            if not vectors.size:
                vectors = np.empty((count, size), np.float32)
            # Filled in one by one: to collect them first and stack them costs as much as decoding them.
            vectors[position] = vector
    positions = [position for position in range(count) if position not in rejected]
    if rejected:
        vectors = vectors[positions] if positions else np.empty((0, size or 0), np.float32)
    # One pass over all numbers; rows are looked at one by one only when something is wrong.
    if not np.isfinite(vectors).all():
        finite = [bool(np.isfinite(row).all()) for row in vectors]
        rejected |= {position: "the vector holds NaN or infinity" for position, good in zip(positions, finite, strict=True) if not good}
        vectors, positions = vectors[finite], list(compress(positions, finite))
    return Proof(vectors, tuple(positions), dict(sorted(rejected.items())), frozenset(others))


def places(indexes: Sequence[object], rows: int, count: int) -> list[int]:
    """Return which text each row belongs to. Raises BadReplyError when that is not certain.

    Indexes that are exactly 0..count-1 are used. Without any index the order counts. One missing index is taken for 0 when 0
    is the one that is missing: protobuf leaves out zeros, and so do gateways built on it.
    """
    if rows != count:
        raise BadReplyError(f"{rows} vectors for {count} texts")
    if len(indexes) != rows:
        raise BadReplyError(f"{len(indexes)} indexes for {rows} vectors")
    if all(index is None for index in indexes):
        return list(range(count))
    if any(index is not None and type(index) is not int for index in indexes):
        raise BadReplyError("an index is not a whole number")
    missing = sum(index is None for index in indexes)
    order = [0 if index is None else index for index in indexes if index is None or isinstance(index, int)]
    if missing > 1 or sorted(order) != list(range(count)):
        raise BadReplyError(f"the indexes are not 0 to {count - 1}, each once")
    return order


def _vector(row: object) -> Vectors | str:
    """Return a row as float32, or the sentence that says why it is none."""
    if row is None:
        return "the vector is null"
    if isinstance(row, str):
        return _from_base64(row)
    if not isinstance(row, list):
        return "the vector is not a list of numbers"
    if not row:
        return "the vector is empty"
    # Looked at before numpy does, which would take true for 1 and "1" for a number.
    if not _NUMBERS.issuperset(map(type, row)):
        return "the vector holds something that is not a number"
    try:
        with np.errstate(over="ignore"):
            return np.array(row, dtype=np.float32)
    except OverflowError:
        return "the vector holds a number that is too large"


def _from_base64(text: str) -> Vectors | str:
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return "the vector is a string that is not base64"
    if not raw:
        return "the vector is empty"
    if len(raw) % 4:
        return "the vector's base64 is not made of float32 numbers"
    return np.frombuffer(raw, dtype="<f4").astype(np.float32, copy=False)
