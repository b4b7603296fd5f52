"""Decides what follows on a batch that was refused: which of its texts fail, and which are sent again together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncrun.aio.retry import FailureClass
from asyncrun.batching.bisect import split
from asyncrun.endpoints.classify import Verdict

_NAMED = (FailureClass.TOO_LONG, FailureClass.ITEM)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`failed` says why a text (its index in the batch) fails for good; `parts` are the batches that come next."""

    failed: dict[int, str]
    parts: list[list[int]]


def aftermath(verdict: Verdict, sizes: Sequence[int], *, together: bool = False) -> Aftermath:
    """Return what follows on a refused batch of texts of these sizes in bytes.

    A text that the server names fails at once, the others go on together. Otherwise the batch is halved until one text is left to blame;
    when one is too long the shorter half goes apart, since the long ones are most likely all in the other.
    Texts that must stay `together` fail together.

    >>> aftermath(Verdict(FailureClass.TOO_LONG, "", guilty=1), [9] * 4)
    Aftermath(failed={1: 'too_long'}, parts=[[0, 2, 3]])
    """
    reason = verdict.reason
    places = list(range(len(sizes)))
    if len(sizes) == 1 or together:
        return Aftermath(dict.fromkeys(places, reason), [])
    if verdict.failure in _NAMED and verdict.guilty is not None and verdict.guilty < len(sizes):
        return Aftermath({verdict.guilty: reason}, [[place for place in places if place != verdict.guilty]])
    if verdict.failure is FailureClass.TOO_LONG:
        places.sort(key=sizes.__getitem__)
    return Aftermath({}, [list(part) for part in split(places, cap=verdict.cap)])
