"""One place that serves a model: its address and key, its limiter and circuit, and the connections of each event loop."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from asyncrun.aio.attempt_events import time_spent_on
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import DEFAULT_CONCURRENCY
from asyncrun.aio.retry import CircuitBreaker, RetryBudget, RetryPolicy
from asyncrun.aio.worker_state import waiting
from asyncrun.clock import Clock
from asyncrun.endpoints.url import check_address, host_of, keys_in_headers
from asyncrun.errors import AsyncrunError, UsageError
from asyncrun.escape import printable
from asyncrun.redact import Redactor

if TYPE_CHECKING:
    from asyncrun.http import Client, Reply

MAX_WORDS = 200
MAX_WORKERS = 64


@dataclass(slots=True)
class _Connections:
    """What belongs to one event loop: the client, made for the first request, and the canary that is on its way."""

    client: asyncio.Future[Client] | None = None
    canary: asyncio.Future[None] | None = None


@dataclass(slots=True, eq=False)
class Endpoint:
    """Sends to one address. `proven` is set when it has answered as it should for the first time.

    Raises UsageError for an address or a header that cannot be used.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    limiter: Limiter
    circuit: CircuitBreaker
    budget: RetryBudget
    policy: RetryPolicy
    clock: Clock
    rng: random.Random
    timeout: float
    http2: bool = False
    proven: bool = False
    _connections: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections] = field(default_factory=WeakKeyDictionary)
    _secrets: frozenset[str] = field(init=False, repr=False)
    _redactor: Redactor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_address(self.url)
        given = self.url if urlsplit(self.url).username else ""
        self.url, self.headers = keys_in_headers(self.url, self.headers)
        for name, value in self.headers.items():
            if not (name + value).isascii() or not (name + value).isprintable():
                raise UsageError(f"the header {printable(name, 40)} cannot be sent: it holds something other than plain characters")
        self._secrets = frozenset([*self.headers.values(), given])
        self._redactor = Redactor(self._secrets)

    @property
    def host(self) -> str:
        """Return the host and port, as messages and spaces name the endpoint."""
        return host_of(self.url)

    @property
    def workers(self) -> int:
        """Return how many requests are to be in flight, as far as is known."""
        return min(self.limiter.limits.concurrency or DEFAULT_CONCURRENCY, MAX_WORKERS)

    def shown(self, words: str) -> str:
        """Return a server's words on one line, short, without secrets."""
        return printable(self._redactor.beginning(words, 10 * MAX_WORDS), MAX_WORDS)

    def hide_secrets_of(self, others: Iterable[Endpoint]) -> None:
        """Show the secrets of other endpoints as little as those of this one."""
        self._secrets |= {secret for other in others for secret in other._secrets}
        self._redactor = Redactor(self._secrets)

    async def send(self, body: bytes | None, url: str | None = None) -> Reply:
        """Send once, or ask (GET) without a body; `url` is another address of the same server. Raises TransportError."""
        from asyncrun.http import get, post

        if body is None:
            return await get(await self._client(), url or self.url, self.headers, timeout=self.timeout)
        connecting = partial(time_spent_on, "connect")
        return await post(await self._client(), url or self.url, body, self.headers, timeout=self.timeout, connecting=connecting)

    async def renew_connections(self) -> None:
        """Close the running loop's connections, as after a suspension: new requests make new ones, those under way keep theirs."""
        client = self._here().client
        if client is not None and client.done() and not client.cancelled() and client.exception() is None:
            await client.result().renew()

    @asynccontextmanager
    async def canary(self) -> AsyncIterator[None]:
        """Let one request go alone until the endpoint is proven: a wrong key, model or address then costs one call, whoever waits.

        Raises what the canary raised, when that is an answer about the endpoint.
        """
        while not self.proven:
            connections = self._here()
            if connections.canary is None:
                own = connections.canary = asyncio.get_running_loop().create_future()
                try:
                    yield
                except AsyncrunError as error:
                    told = copy.copy(error)
                    told.used = told.answered = None  # that is the canary's own
                    own.set_exception(told)
                    own.exception()  # nobody may be waiting for it
                    raise
                finally:
                    connections.canary = None
                    if not own.done():
                        own.set_result(None)
                return
            try:
                with waiting("gate"):
                    await asyncio.shield(connections.canary)
            except AsyncrunError as error:
                raise copy.copy(error) from None
        yield

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

    async def _client(self) -> Client:
        connections = self._here()
        if connections.client is None:
            concurrency = self.limiter.limits.concurrency or DEFAULT_CONCURRENCY
            # Importing the client and reading the CA bundle take a tenth of a second: not on the loop.
            connections.client = asyncio.ensure_future(asyncio.to_thread(_build_client, concurrency, http2=self.http2))
        return await asyncio.shield(connections.client)


def _build_client(concurrency: int, *, http2: bool) -> Client:
    from asyncrun.http import build_client

    return build_client(concurrency, http2=http2)
