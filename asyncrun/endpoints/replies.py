"""What a reply is: an answer, decoded, or a refusal with its meaning; and when refusals are about the endpoint itself."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.address import host_of
from asyncrun.endpoints.classify import Verdict, classify
from asyncrun.endpoints.rate_headers import wait_hint
from asyncrun.errors import AsyncrunError, AuthError, EndpointError, OutageError, QuotaError
from asyncrun.escape import strip_markup
from asyncrun.http_replies import Reply
from asyncrun.humanize import counted
from asyncrun.redact import LONGEST_WRITTEN
from asyncrun.transport_faults import TransportError, TransportFault
from asyncrun.usage import Usage, Waits

if TYPE_CHECKING:
    from asyncrun.endpoints.endpoint import Endpoint

T = TypeVar("T")
_TRANSPORT = {
    TransportFault.TLS: FailureClass.CONFIG,
    TransportFault.ADDRESS: FailureClass.CONFIG,
    TransportFault.TOO_LARGE: FailureClass.BAD_RESPONSE,
    TransportFault.ENCODING: FailureClass.BAD_RESPONSE,
}
_NO_KEY = "No key was sent: one in the environment goes to the provider's own address only. Set api_key."
SAME_REFUSALS = 3
"""So many single texts refused with the same words, and none ever accepted: then it is not the texts."""
MOST_OF_A_PAGE = 2**18
"""Bytes of a reply without an answer in which its words are looked for."""
MOST_TOKENS = 10**12
"""A server that counts more for one request counts wrong."""


class BadReplyError(Exception):
    """A reply of which nothing can be believed; the sentence says why, and `failure` what that means."""

    def __init__(self, message: str, failure: FailureClass = FailureClass.BAD_RESPONSE) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(frozen=True, slots=True, eq=False)
class DecodedReply:
    """A reply of status 200 that reports no error: its JSON, and what its headers tell: cost in USD, tokens; None where they do not.

    Of one that was `streamed` the JSON has gone where it was asked for, and is None here.
    """

    document: Any
    cost: float | None
    tokens: int | None = None
    streamed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CallAnswer(Generic[T]):
    """A call that was answered: `value` is what was read from the reply, `worker` the one of an executor that has read it, if any.

    `usage` counts requests, not tokens.
    """

    value: T
    usage: Usage
    waits: Waits
    worker: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CallFailure:
    """A call that brought no answer, with what its last attempt means.

    `error` is that of a run where that is about the endpoint, whatever was sent; None: it may be about this request.
    """

    message: str
    verdict: Verdict
    usage: Usage
    waits: Waits
    error: AsyncrunError | None = None


class RequestError(Exception):
    """A request that brought no answer. The message may be shown: it holds no secret and is one line."""

    def __init__(
        self,
        message: str,
        verdict: Verdict,
        *,
        hint: float | None = None,
        reached: bool = True,
        status: int | None = None,
        timed_out: bool = False,
    ) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.status = status
        self.hint = hint
        self.reached = reached
        self.timed_out = timed_out

    def __reduce__(self) -> tuple[Any, ...]:
        """Have it made anew with all that it says, in another process."""
        said: dict[str, Any] = {"hint": self.hint, "reached": self.reached, "status": self.status, "timed_out": self.timed_out}
        return partial(RequestError, **said), (str(self), self.verdict)

    def about_endpoint(self, *, key_sent: bool, proven: bool, attempts: int) -> AsyncrunError | None:
        """Return the error of a run when the refusal is about the endpoint whatever was sent, None when it may be about this request.

        One that has answered nothing so far, in so many attempts, is down.
        """
        errors = {
            FailureClass.AUTH: AuthError(str(self), hint=None if key_sent else _NO_KEY),
            FailureClass.QUOTA: QuotaError(f"billing or quota, not speed: {self}"),
            FailureClass.CONFIG: EndpointError(str(self)),
            FailureClass.TRANSIENT: None if proven else OutageError(f"{self} ({counted(attempts, 'attempt')})"),
        }
        if (error := errors.get(self.verdict.failure)) is not None:
            error.__cause__ = self
        return error


def meaning_of(error: Exception) -> tuple[FailureClass, float | None]:
    """Return what a refusal means, and how many seconds the server asks to wait; anything else is raised."""
    if isinstance(error, RequestError):
        return error.verdict.failure, error.hint
    raise error


def not_reached(endpoint: Endpoint, error: TransportError) -> RequestError:
    """Return the refusal that a request amounts to which no whole reply came to."""
    # A name that does not exist is a mistake of the job file, but only at the start: later it is the network.
    mistaken = error.fault is TransportFault.DNS and not endpoint.proven
    failure = FailureClass.CONFIG if mistaken else _TRANSPORT.get(error.fault, FailureClass.TRANSIENT)
    words = endpoint.shown(str(error))
    reached = error.fault in (TransportFault.TOO_LARGE, TransportFault.ENCODING)
    where = (
        f"cannot reach {endpoint.host}"
        if error.fault in (TransportFault.REFUSED, TransportFault.DNS, TransportFault.DNS_AGAIN)
        else endpoint.host
    )
    return RequestError(f"{where}: {words}", Verdict(failure, words), reached=reached, timed_out=error.fault is TransportFault.TIMEOUT)


def read_reply(endpoint: Endpoint, reply: Reply) -> DecodedReply:
    """Return the answer that a reply holds, decoded; of one that was streamed, without it. Raises RequestError when it holds none."""
    if reply.streamed:
        return DecodedReply(None, _cost(reply), streamed=True)
    document = _decoded(reply.body)
    if reply.status != 200 or document is None or (isinstance(document, dict) and document.get("error")):
        raise _refusal(endpoint, reply, document)
    return DecodedReply(document, _cost(reply), _tokens(reply))


def bad_reply(endpoint: Endpoint, error: BadReplyError) -> RequestError:
    """Return the refusal that an answer of status 200 amounts to, which is not what was asked for."""
    words = str(error)
    return RequestError(f"{endpoint.host} answers 200, but {endpoint.shown(words)}", Verdict(error.failure, words), status=200)


def _refusal(endpoint: Endpoint, reply: Reply, document: Any) -> RequestError:
    headers = dict(reply.headers)
    verdict = classify(reply.status, headers, document, _page(reply.body))
    words = endpoint.shown(verdict.words)
    if 300 <= reply.status < 400:
        words = f"it redirects to {_host_in(endpoint.shown(headers.get('location', '')))}, which is not followed"
    elif reply.status == 200 and document is None:
        words = f"what it sends is not JSON: {words}"
    hint = wait_hint(headers, document, verdict.words, endpoint.clock.now())
    return RequestError(f"{endpoint.host} answers {reply.status}: {words}", verdict, hint=hint, status=reply.status)


def _host_in(location: str) -> str:
    """Return the host of an address that a server has written, without secrets already: a host is read in small letters."""
    try:
        return host_of(location) or "another address"
    except ValueError:
        return "what is no address"


def _page(body: bytes) -> str:
    """Return a page; of one that is too large the text without its end, where a key may be cut in two."""
    text = body[:MOST_OF_A_PAGE].decode("utf-8", "replace")
    return text if len(body) <= MOST_OF_A_PAGE else strip_markup(text)[:-LONGEST_WRITTEN]


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _tokens(reply: Reply) -> int | None:
    """Return what Text Embeddings Inference counts: its own replies are bare vectors."""
    told = reply.headers.get("x-compute-tokens", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 12 else None


def _cost(reply: Reply) -> float | None:
    """Return what a LiteLLM proxy says the call has cost: it knows better than a price in a job file."""
    try:
        cost = float(reply.headers["x-litellm-response-cost"])
    except (KeyError, ValueError):
        return None
    return cost if math.isfinite(cost) and cost >= 0 else None


def count_of(usage: object, *names: str) -> int | None:
    """Return the first whole number under one of these names, None when there is none that a request can have.

    >>> count_of({"prompt_tokens": 2**63, "total_tokens": 3}, "prompt_tokens", "total_tokens")
    3
    """
    if isinstance(usage, dict):
        for name in names:
            count = usage.get(name)
            if type(count) is int and 0 <= count < MOST_TOKENS:
                return count
    return None


class RepeatedRefusals:
    """Counts refusals of single texts with the same words, numbers in them left out."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def add(self, message: str, verdict: Verdict) -> EndpointError | None:
        """Add a refusal that came before the first success; return the error of a run when it is the endpoint that is wrong."""
        if verdict.failure not in (FailureClass.UNKNOWN, FailureClass.BAD_RESPONSE):
            return None
        self._words.append(re.sub(r"[0-9a-f-]{8,}|\d+", "", message))
        if len(self._words) >= SAME_REFUSALS and len(set(self._words[-SAME_REFUSALS:])) == 1:
            return EndpointError(f"{message} (the same for {SAME_REFUSALS} texts, and none was accepted)")
        return None
