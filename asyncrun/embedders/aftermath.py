"""Decides what follows on a batch that was refused: which of its texts fail, and which are sent again together."""

from __future__ import annotations

from dataclasses import dataclass

from asyncrun.aio.retry import FailureClass
from asyncrun.batching.bisect import split
from asyncrun.endpoints.classify import Verdict

_REASONS = {
    FailureClass.TOO_BIG: "too_long",
    FailureClass.TOO_LONG: "too_long",
    FailureClass.BAD_RESPONSE: "bad_response",
    FailureClass.TRANSIENT: "server_error",
}
_NAMED = (FailureClass.TOO_LONG, FailureClass.ITEM)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`failed` says why a text (its index in the batch) fails for good; `parts` are the batches that come next."""

    failed: dict[int, str]
    parts: list[list[int]]


def aftermath(verdict: Verdict, count: int, *, together: bool = False) -> Aftermath:
    """Return what follows on a refused batch of `count` texts.

    A text that the server names fails at once, the others go on together. Otherwise the batch is halved until one text is left to blame.
    Texts that must stay `together` fail together.

    >>> aftermath(Verdict(FailureClass.TOO_LONG, "", guilty=1), 4)
    Aftermath(failed={1: 'too_long'}, parts=[[0, 2, 3]])
    """
    reason = _REASONS.get(verdict.failure, "refused")
    places = list(range(count))
    if count == 1 or together:
        return Aftermath(dict.fromkeys(places, reason), [])
    if verdict.failure in _NAMED and verdict.guilty is not None and verdict.guilty < count:
        return Aftermath({verdict.guilty: reason}, [[place for place in places if place != verdict.guilty]])
    return Aftermath({}, [list(part) for part in split(places, cap=verdict.cap)])
