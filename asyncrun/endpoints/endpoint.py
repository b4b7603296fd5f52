"""One endpoint that serves a model: its address and key, its limiter and circuit, its connections, and the one call that uses them."""

from __future__ import annotations

import asyncio
import copy
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypedDict, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from asyncrun import http
from asyncrun.aio.attempts import AttemptCounts, Used, with_retries
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import DEFAULT_CONCURRENCY, Limits, StatedLimit
from asyncrun.aio.retry import CircuitBreaker, FailureClass, RetryBudget, RetryPolicy
from asyncrun.aio.worker_state import time_spent_on, waiting
from asyncrun.clock import Clock, SystemClock
from asyncrun.endpoints.address import PUBLIC_HEADERS, check_address, host_of, keys_in_headers
from asyncrun.endpoints.classify import Verdict
from asyncrun.endpoints.rate_headers import stated_limits
from asyncrun.endpoints.replies import (
    BadReplyError,
    CallAnswer,
    CallFailure,
    DecodedReply,
    RequestError,
    bad_reply,
    meaning_of,
    not_reached,
    read_reply,
)
from asyncrun.errors import ArgumentError, AsyncrunError, MissingExtraError
from asyncrun.escape import printable
from asyncrun.redact import Redactor
from asyncrun.transport_faults import TransportError

if TYPE_CHECKING:
    from asyncrun.endpoints.streamed_call import StreamedCall
    from asyncrun.http import Client
    from asyncrun.http_replies import Streaming
    from asyncrun.ports import Executor, WorkerPart

T = TypeVar("T")
Read = Callable[[DecodedReply], T]
LONGEST_MESSAGE = 200
"""Characters of a server's words that are shown."""
MAX_WORKERS = 64
FIRST_ATTEMPTS, FIRST_BACKOFF = 3, 1.0
"""Of the first request: whoever waits at the start has nothing to lose, so an address where nobody listens is told within seconds."""


class EndpointOptions(TypedDict, total=False):
    """How an endpoint is treated; the meanings are those of the job file.

    `limiter`, `circuit` and `budget` are those of a run, shared by all that use the same endpoint; without them the endpoint has its own.
    """

    limits: Limits
    retry: RetryPolicy
    timeout: float
    http2: bool
    headers: Mapping[str, str]
    limiter: Limiter | None
    circuit: CircuitBreaker | None
    budget: RetryBudget | None
    clock: Clock
    rng: random.Random


@dataclass(slots=True, eq=False)
class Canary:
    """A request that goes alone; `error` is what it has learned about the endpoint, whatever is sent."""

    error: AsyncrunError | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Connections:
    """What belongs to one event loop: the client, made for the first request, and the canary that is on its way."""

    client: asyncio.Future[Client] | None = None
    canary: Canary | None = None


class Endpoint:
    """Sends to one address. `proven` is set when it has answered as it should for the first time.

    With an `executor` attempts are made on its workers, but for streamed ones. `learn` is told the limits that replies state.

    Args:
        url: Where requests go.
        auth: The header that carries the key.
        options: How it is treated.

    Raises ArgumentError for an address or a header that cannot be used, MissingExtraError for HTTP/2 without the extra.
    """

    def __init__(self, url: str, auth: Mapping[str, str], options: EndpointOptions) -> None:
        check_address(url)
        self.url, self.headers = keys_in_headers(url, {**auth, **options.get("headers", {})})
        for name, value in self.headers.items():
            if not (name + value).isascii() or not (name + value).isprintable():
                raise ArgumentError(f"the header {printable(name, 40)} cannot be sent: it holds something other than plain characters")
        self.http2 = options.get("http2", False)
        if self.http2 and find_spec("h2") is None:
            hint = "Install it: pip install 'asyncrun[http2]'."
            raise MissingExtraError("http2 needs the extra 'http2', which is not installed", hint=hint)
        self.clock = options.get("clock") or SystemClock()
        self.rng = options.get("rng") or random.Random()  # noqa: S311 (jitter, no secret)
        self.limiter = options.get("limiter") or Limiter(options.get("limits") or Limits(), self.clock, self.rng)
        self.circuit = options.get("circuit") or CircuitBreaker()
        self.budget = options.get("budget") or RetryBudget()
        self.policy = options.get("retry") or RetryPolicy(stop_if_unreachable=True)
        self.timeout = options.get("timeout", 60.0)
        if not (isinstance(self.timeout, int | float) and self.timeout > 0):
            raise ArgumentError(f"the timeout is {self.timeout!r}, and must be more than 0 seconds")
        self.proven = False
        self.executor: Executor | None = None
        self.learn: Callable[[Mapping[str, StatedLimit]], None] = self.limiter.learn
        self._connections: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections] = WeakKeyDictionary()
        keys = [value for name, value in self.headers.items() if name not in PUBLIC_HEADERS]
        self.secrets = frozenset([*keys, url if urlsplit(url).username else ""])
        self._redactor = Redactor(self.secrets)

    @property
    def host(self) -> str:
        """Return the host and port, as messages and spaces name the endpoint."""
        return host_of(self.url)

    @property
    def workers(self) -> int:
        """Return how many requests are to be in flight, as far as is known."""
        most = MAX_WORKERS if self.executor is None else self.executor.slots
        return min(self.limiter.limits.concurrency or DEFAULT_CONCURRENCY, most)

    def shown(self, words: str) -> str:
        """Return a server's words on one line, short, without secrets."""
        return printable(self._redactor.beginning(words, 10 * LONGEST_MESSAGE), LONGEST_MESSAGE)

    def hide(self, secrets: Iterable[str]) -> None:
        """Show these, such as the secrets of other endpoints, as little as its own."""
        self.secrets |= {*secrets}
        self._redactor = Redactor(self.secrets)

    async def call(
        self,
        body: bytes,
        read: Read[T],
        *,
        tokens: float,
        inputs: int = 1,
        used: Callable[[T], Used] = lambda _: None,
        output_tokens: float = 0,
        divisible: bool = False,
        streamed: StreamedCall | None = None,
    ) -> CallAnswer[T] | CallFailure:
        """Send a request until it is answered or refused, with a permit for each attempt.

        Args:
            body: The request's JSON.
            read: Reads a decoded reply, and pickles; raises BadReplyError or RequestError when it is no answer.
            tokens: What one attempt is expected to use.
            inputs: How many texts it carries.
            used: Says how many tokens the answer really used, and which of them came out; None if it does not tell.
            output_tokens: Those of `tokens` that come out.
            divisible: Whether it could be sent in parts: sent whole again it would most likely take too long again.
            streamed: How the reply is read while it comes; None: as a whole.
        """
        counts = AttemptCounts()
        send = partial(
            with_retries,
            self._choose(body, read, divisible and self.proven, streamed),
            budget=self.budget,
            circuit=self.circuit,
            limiter=self.limiter,
            clock=self.clock,
            rng=self.rng,
            tokens=tokens,
            inputs=inputs,
            classify=meaning_of,
            used=used,
            counts=counts,
            output_tokens=output_tokens,
        )
        try:
            if not self.proven:
                try:
                    return CallAnswer(await send(policy=self._first_policy()), counts.usage, counts.waits, counts.worker)
                except RequestError as error:
                    if self._is_enough(error, counts):
                        raise
            return CallAnswer(await send(policy=self.policy), counts.usage, counts.waits, counts.worker)
        except RequestError as error:
            # Its frames hold each other, and the request's body: 60 MB of a long text would stay until the next collection.
            traceback.clear_frames(error.__traceback__)
            fatal = error.about_endpoint(key_sent=bool(self.headers.keys() - PUBLIC_HEADERS), proven=self.proven, attempts=counts.attempts)
            return CallFailure(str(error), error.verdict, counts.usage, counts.waits, fatal)
        except AsyncrunError as error:
            return CallFailure(str(error), Verdict(FailureClass.TRANSIENT, error.message), counts.usage, counts.waits, error)

    def _choose(self, body: bytes, read: Read[T], divisible: bool, streamed: StreamedCall | None) -> Callable[[int], Awaitable[T]]:
        if streamed is not None:
            from asyncrun.endpoints.streamed_call import attempt_streamed  # most runs stream nothing

            return partial(attempt_streamed, self, body, read, streamed)
        if self.executor is not None and (part := self.worker_part()) is not None:
            from asyncrun.endpoints.worker_call import attempt_on_worker

            return partial(attempt_on_worker, self, body, read, divisible, executor=self.executor, part=part)
        return partial(self.attempt, body, read, divisible)

    async def exchange(self, body: bytes | None, url: str | None = None, *, streaming: Streaming | None = None) -> DecodedReply:
        """Send once, or ask (GET) without a body; `url` is another address of the same server. Raises RequestError."""
        client, wait = await self.client(), partial(time_spent_on, "connect")
        try:
            reply = await http.send(client, url or self.url, body, self.headers, timeout=self.timeout, connecting=wait, streaming=streaming)
        except TransportError as error:
            raise not_reached(self, error) from error
        self.learn(stated_limits(reply.headers, self.clock.now()))
        with time_spent_on("decode"):
            return read_reply(self, reply)

    def worker_part(self) -> WorkerPart | None:
        """Return what makes attempts for this endpoint on a worker, None where they are made here whatever the executor is."""
        from asyncrun.endpoints.worker_call import EndpointPart

        return EndpointPart.of(self) if type(self) is Endpoint else None

    async def attempt(self, body: bytes, read: Read[T], divisible: bool, _: int = 1) -> T:
        """Send once and return what `read` makes of the reply. Raises RequestError; of `divisible` texts that took too long it says so."""
        try:
            reply = await self.exchange(body)
            with time_spent_on("decode"):
                return read(reply)
        except BadReplyError as error:
            raise bad_reply(self, error) from error
        except RequestError as error:
            if divisible and error.timed_out:
                error.verdict = replace(error.verdict, failure=FailureClass.TOO_SLOW)
            raise

    def _first_policy(self) -> RetryPolicy:
        policy = self.policy
        return replace(policy, attempts=min(policy.attempts, FIRST_ATTEMPTS), max_backoff=min(policy.max_backoff, FIRST_BACKOFF))

    def _is_enough(self, error: RequestError, counts: AttemptCounts) -> bool:
        """Tell whether the first request is not sent again after it was refused, whatever attempts are left."""
        given_up = self.policy.stop_if_unreachable and not error.reached
        return error.verdict.failure is not FailureClass.TRANSIENT or given_up or counts.failures >= self.policy.attempts

    async def renew_connections(self) -> None:
        """Close the running loop's connections, as after a suspension: new requests make new ones, those under way keep theirs."""
        client = self._here().client
        if client is not None and client.done() and not client.cancelled() and client.exception() is None:
            await client.result().renew()

    def canary(self) -> AbstractAsyncContextManager[Canary]:
        """Let one request go alone until the endpoint is proven: a wrong key, model or address then costs one call, whoever waits.

        Who is given a canary with an error sends nothing; who has learned of one leaves it there for those that wait.
        """
        return nullcontext(Canary()) if self.proven else self._go_alone()

    @asynccontextmanager
    async def _go_alone(self) -> AsyncIterator[Canary]:
        while not self.proven:
            connections = self._here()
            if (first := connections.canary) is None:
                own = connections.canary = Canary()
                try:
                    yield own
                finally:
                    connections.canary = None
                    own.ended.set()
                return
            with waiting("gate"):
                await first.ended.wait()
            if first.error is not None:
                yield Canary(copy.copy(first.error))
                return
        yield Canary()

    async def leave_loop(self) -> None:
        """Close the connections of the running loop."""
        connections = self._connections.pop(asyncio.get_running_loop(), None)
        if connections is not None and connections.client is not None:
            await (await connections.client).aclose()

    def _here(self) -> _Connections:
        loop = asyncio.get_running_loop()
        if loop not in self._connections:
            self._connections[loop] = _Connections()
        return self._connections[loop]

    async def client(self) -> Client:
        """Return the connections of the running loop, made when they are asked for first."""
        connections = self._here()
        if connections.client is not None and connections.client.done():
            return connections.client.result()
        if connections.client is None:
            concurrency = self.limiter.limits.concurrency or DEFAULT_CONCURRENCY
            # Importing the client and reading the CA bundle take a tenth of a second: not on the loop.
            connections.client = asyncio.ensure_future(asyncio.to_thread(http.build_client, concurrency, http2=self.http2))
        return await asyncio.shield(connections.client)
