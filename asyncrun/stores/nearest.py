"""The best of a database's answers in an order of our own: scores in 64 bits, equal ones by the chunks' names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncrun.errors import SpaceMismatchError
from asyncrun.stores.interface import SearchRequest

if TYPE_CHECKING:
    from asyncrun.records import Vectors

_SAME = 1e-6
"""Scores that differ by less may be equal: a database counts in 32 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What a database has answered: its score, the chunk's id and source, which order equal scores, and the row itself."""

    score: float
    chunk_id: str
    source: str
    row: Any

    @property
    def place(self) -> tuple[float, str, str]:
        """Return what candidates are sorted by."""
        return -self.score, self.chunk_id, self.source


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The candidates among the first rows of an answer that may be hits; `rows` were answered, the last of them with the score `lowest`."""

    candidates: Sequence[Candidate]
    rows: int
    lowest: float


def rank_candidates(ask: Callable[[int], Answered], wanted: int, most: int, first: int = 0) -> list[Candidate]:
    """Return the best candidates, at most `wanted`, best first; equal scores by chunk id.

    `ask` answers so many rows at most; it is asked again, for more, until nothing that was not answered can be among the best. `most` is
    how many rows there are, `first` how many are asked for at first where many of them are no candidates.
    """
    asked = min(max(wanted + 1, first), most)
    while asked > 0 and wanted > 0:
        answered = ask(asked)
        best = sorted(answered.candidates, key=lambda candidate: candidate.place)
        if asked >= most or answered.rows < asked or (len(best) >= wanted and answered.lowest < best[wanted - 1].score - _SAME):
            return best[:wanted]
        asked = min(asked * 2, most)
    return []


def cosines(vectors: Vectors, question: Vectors) -> list[float]:
    """Return the cosine of each row of `vectors` (n, d) with `question` (d,), each in 64 bits; that with a vector without length is 0."""
    wide, asked = vectors.astype(np.float64), question.astype(np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1)) * np.sqrt((asked * asked).sum())
    found: list[float] = ((wide * asked).sum(axis=1) / np.where(lengths > 0, lengths, 1)).tolist()
    return found


def question_of(request: SearchRequest, dimensions: int) -> Vectors:
    """Return the vector of a request, of shape (dimensions,). Raises ValueError for none, SpaceMismatchError for one of another size."""
    if request.vector is None:
        raise ValueError(f"a {request.mode} search needs a vector")
    vector = request.vector.reshape(-1)
    if len(vector) != dimensions:
        raise SpaceMismatchError(f"the question's vector has {len(vector)} dimensions, those of the collection have {dimensions}")
    return vector
