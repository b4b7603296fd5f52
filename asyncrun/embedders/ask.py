"""One request for vectors: posted, judged, proven; what comes back is believable vectors or a refusal with its meaning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from asyncrun.aio.retry import FailureClass
from asyncrun.batching.proof import BadReplyError, Proof, prove
from asyncrun.embedders.classify import Verdict, classify
from asyncrun.embedders.endpoint import Endpoint, host_of
from asyncrun.embedders.hints import wait_hint
from asyncrun.http import Fault, Reply, TransportError

_TRANSPORT = {
    Fault.TLS: FailureClass.CONFIG,
    Fault.ADDRESS: FailureClass.CONFIG,
    Fault.TOO_LARGE: FailureClass.BAD_RESPONSE,
    Fault.ENCODING: FailureClass.BAD_RESPONSE,
}


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a dialect finds in a reply: vectors as decoded, their indexes (None: the dialect has none), tokens used (None: not told)."""

    vectors: Sequence[object]
    indexes: Sequence[object] | None
    tokens: int | None


class Read(Protocol):
    """Finds the rows of a decoded reply."""

    def __call__(self, document: Any) -> Rows:
        """Return the rows; raises BadReplyError when the document has another shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Vectors that stood the proof, with what they used; `cost` in USD where the server says it."""

    proof: Proof
    tokens: int | None
    cost: float | None


class RefusedError(Exception):
    """A request that brought no vector. The message may be shown: it holds no secret and is one line."""

    def __init__(self, message: str, verdict: Verdict, *, hint: float | None = None, reached: bool = True) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.hint = hint
        self.reached = reached


async def ask(endpoint: Endpoint, body: bytes, read: Read, count: int, dimensions: int | None) -> Answer:
    """Send a request for `count` vectors once. Raises RefusedError."""
    try:
        reply = await endpoint.post(body)
    except TransportError as error:
        # A name that does not exist is a mistake of the job file, but only at the start: later it is the network.
        mistaken = error.fault is Fault.DNS and not endpoint.proven
        failure = FailureClass.CONFIG if mistaken else _TRANSPORT.get(error.fault, FailureClass.TRANSIENT)
        words = endpoint.shown(str(error))
        reached = error.fault in (Fault.TOO_LARGE, Fault.ENCODING)
        where = f"cannot reach {endpoint.host}" if error.fault in (Fault.REFUSED, Fault.DNS, Fault.DNS_AGAIN) else endpoint.host
        raise RefusedError(f"{where}: {words}", Verdict(failure, words), reached=reached) from error
    document = _decoded(reply.body)
    if reply.status != 200 or document is None or (isinstance(document, dict) and document.get("error")):
        raise _refusal(endpoint, reply, document)
    try:
        rows = read(document)
        proof = prove(rows.vectors, rows.indexes, count, dimensions)
    except BadReplyError as error:
        raise _bad(endpoint, FailureClass.BAD_RESPONSE, str(error)) from error
    if not proof.positions:
        # Before the first success nobody can say that one vector is odd: the model has another size than was asked for.
        mistaken = len(proof.other_dimensions) == 1 and not endpoint.proven
        failure = FailureClass.CONFIG if mistaken else FailureClass.BAD_RESPONSE
        raise _bad(endpoint, failure, next(iter(proof.rejected.values())))
    return Answer(proof, rows.tokens, _cost(reply))


def _refusal(endpoint: Endpoint, reply: Reply, document: Any) -> RefusedError:
    text = reply.body[:20_000].decode("utf-8", "replace")
    headers = dict(reply.headers)
    verdict = classify(reply.status, headers, document, text)
    words = endpoint.shown(verdict.words)
    if 300 <= reply.status < 400:
        words = f"it redirects to {endpoint.shown(host_of(headers.get('location', '')) or 'another address')}, which is not followed"
    elif reply.status == 200 and document is None:
        words = f"what it sends is not JSON: {words}"
    hint = wait_hint(headers, document, verdict.words, endpoint.clock.now())
    return RefusedError(f"{endpoint.host} answers {reply.status}: {words}", verdict, hint=hint)


def _bad(endpoint: Endpoint, failure: FailureClass, words: str) -> RefusedError:
    return RefusedError(f"{endpoint.host} answers 200, but {words}", Verdict(failure, words))


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _cost(reply: Reply) -> float | None:
    """Return what a LiteLLM proxy says the call has cost: it knows better than a price in a job file."""
    try:
        cost = float(reply.headers["x-litellm-response-cost"])
    except (KeyError, ValueError):
        return None
    return cost if math.isfinite(cost) and cost >= 0 else None
