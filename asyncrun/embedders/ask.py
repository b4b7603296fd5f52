"""One request for vectors: sent once, its reply read and proven; what comes back is believable vectors or a refusal with its meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from asyncrun.aio.attempt_events import time_spent_on
from asyncrun.aio.retry import FailureClass
from asyncrun.batching.proof import BadReplyError, Proof, prove
from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.endpoints.exchange import Exchanged, bad_reply, exchange


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a dialect finds in a reply: vectors as decoded, their indexes (None: the dialect has none), tokens used (None: not told).

    `model` is the name that the reply gives, `warnings` are the server's own.
    """

    vectors: Sequence[object]
    indexes: Sequence[object] | None = None
    tokens: int | None = None
    model: str | None = None
    warnings: tuple[str, ...] = ()


class Read(Protocol):
    """Finds the rows of a decoded reply."""

    def __call__(self, document: Any) -> Rows:
        """Return the rows; raises BadReplyError when the document has another shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Vectors that stood the proof, with what they used; `cost` in USD where the server says it.

    `model` and `warnings` are what the reply says, `oddities` what is odd about it: a sentence by kind.
    """

    proof: Proof
    tokens: int | None
    cost: float | None
    model: str | None = None
    warnings: tuple[str, ...] = ()
    oddities: Mapping[str, str] = field(default_factory=dict)


async def ask(endpoint: Endpoint, body: bytes, read: Read, count: int, dimensions: int | None) -> Answer:
    """Send a request for `count` vectors once. Raises RefusedError."""
    return judge(endpoint, await exchange(endpoint, body), read, count, dimensions)


def judge(endpoint: Endpoint, exchanged: Exchanged, read: Read, count: int, dimensions: int | None) -> Answer:
    """Return the proven vectors of a reply to `count` texts. Raises RefusedError when it holds none."""
    try:
        with time_spent_on("decode"):
            rows = read(exchanged.document)
            proof = prove(rows.vectors, rows.indexes, count, dimensions)
    except BadReplyError as error:
        raise bad_reply(endpoint, str(error)) from error
    if not proof.positions:
        # Several vectors of one other size are another model's. So is a single one before the first success; later it may be an accident.
        mistaken = len(proof.other_dimensions) == 1 and (count > 1 or not endpoint.proven)
        failure = FailureClass.CONFIG if mistaken else FailureClass.BAD_RESPONSE
        raise bad_reply(endpoint, next(iter(proof.rejected.values())), failure)
    return Answer(proof, rows.tokens if rows.tokens is not None else exchanged.tokens, exchanged.cost, rows.model, rows.warnings)
