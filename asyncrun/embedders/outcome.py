"""What came of a call, put together from its parts: positions are renumbered, and the parts of one call are merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from asyncrun.errors import AsyncrunError
from asyncrun.records import Embedded, EmbedFailure
from asyncrun.usage import Usage, Waits

_NOTHING = Usage()
_NO_WAITS = Waits()


def no_vectors(
    failures: Sequence[EmbedFailure] = (), usage: Usage = _NOTHING, waits: Waits = _NO_WAITS, error: AsyncrunError | None = None
) -> Embedded:
    """Return an outcome without a single vector."""
    return Embedded(np.empty((0, 0), np.float32), (), tuple(failures), usage=usage, waits=waits, error=error)


def renumber(answer: Embedded, positions: Sequence[int]) -> Embedded:
    """Return the answer to a part as a piece of the whole: the part's text `i` is the whole's text `positions[i]`.

    >>> renumber(no_vectors([EmbedFailure(1, "empty", "")]), [4, 7]).failures[0].position
    7
    """
    return replace(
        answer,
        positions=tuple(positions[index] for index in answer.positions),
        failures=tuple(replace(failure, position=positions[failure.position]) for failure in answer.failures),
        truncated=frozenset(positions[index] for index in answer.truncated),
    )


def merge(parts: Sequence[Embedded]) -> Embedded:
    """Return several answers about different texts of one call as one, in the order of positions; of several errors it has the first.

    Raises ValueError when a position is answered twice or the vectors differ in dimension.
    """
    if len(parts) == 1 and list(parts[0].positions) == sorted(parts[0].positions):
        return parts[0]
    filled = [part for part in parts if part.positions]
    positions = [position for part in filled for position in part.positions]
    failures = sorted((failure for part in parts for failure in part.failures), key=lambda failure: failure.position)
    answered = positions + [failure.position for failure in failures]
    if len(set(answered)) != len(answered):
        raise ValueError("a text is answered twice")
    vectors = np.concatenate([part.vectors for part in filled]) if filled else np.empty((0, 0), np.float32)
    order = np.argsort(positions, kind="stable")
    return Embedded(
        vectors[order] if filled else vectors,
        tuple(positions[row] for row in order),
        tuple(failures),
        frozenset[int]().union(*(part.truncated for part in parts)),
        sum((part.usage for part in parts), Usage()),
        sum((part.waits for part in parts), Waits()),
        sum(part.beside for part in parts),
        next((part.error for part in parts if part.error is not None), None),
    )
