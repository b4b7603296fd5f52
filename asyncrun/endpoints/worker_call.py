"""One attempt of a call, made on a worker of an executor: it sends, decodes and proves; limits and what follows stay where it was asked."""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from asyncrun.aio.limits import Limits, StatedLimit
from asyncrun.aio.retry import FailureClass
from asyncrun.aio.worker_state import AttemptTimer, attempt_made_on
from asyncrun.endpoints.classify import Verdict
from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.endpoints.replies import DecodedReply, RequestError
from asyncrun.errors import WorkerLostError
from asyncrun.ports import Executor, WorkerPart
from asyncrun.usage import Waits

T = TypeVar("T")
LATE = 10.0
"""Seconds beyond two timeouts, one of them in the line for a slot, after which a worker counts as frozen or out of reach."""


@dataclass(frozen=True, slots=True, eq=False)
class Attempt(Generic[T]):
    """What came of an attempt: its value, or its error; the limits that the reply has stated, and how the seconds were spent."""

    value: T | None
    error: RequestError | None
    stated: Mapping[str, StatedLimit]
    waits: Waits


PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
"""Variables, in small letters or in capitals, that a client looks for; a worker is started without them: they may hold a password."""


@dataclass(frozen=True, slots=True)
class EndpointPart:
    """An endpoint as a worker opens it, with connections of its own. `secrets` are those that no message shows.

    `proxies` are the variables that stand for those of the run, where the worker has none itself.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)
    timeout: float
    http2: bool
    concurrency: int | None
    proxies: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """Return the part that stands for an endpoint."""
        headers, concurrency = tuple(endpoint.headers.items()), endpoint.limiter.limits.concurrency
        named = (name for proxy in PROXIES for name in (proxy, proxy.upper()))
        proxies = tuple((name, value) for name in named if (value := os.environ.get(name)))
        return cls(endpoint.url, headers, endpoint.secrets, endpoint.timeout, endpoint.http2, concurrency, proxies)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[WorkerEndpoint]:
        """Open it, in the worker."""
        for name, value in self.proxies:
            os.environ.setdefault(name, value)
        limits = Limits(concurrency=self.concurrency)
        endpoint = Endpoint(self.url, dict(self.headers), {"timeout": self.timeout, "http2": self.http2, "limits": limits})
        endpoint.hide(self.secrets)
        try:
            yield WorkerEndpoint(endpoint)
        finally:
            await endpoint.leave_loop()


@dataclass(frozen=True, slots=True, eq=False)
class WorkerEndpoint:
    """An endpoint in a worker. It takes no permits: who asks for an attempt has one."""

    endpoint: Endpoint

    async def attempt(self, body: bytes, read: Callable[[DecodedReply], T], divisible: bool, proven: bool) -> Attempt[T]:
        """Make one attempt, and tell all that came of it."""
        stated: dict[str, StatedLimit] = {}
        # One for each attempt, over the same connections: what it learns belongs to it.
        endpoint = copy.copy(self.endpoint)
        endpoint.proven, endpoint.learn = proven, _into(stated)
        value, failed = None, None
        with AttemptTimer(endpoint.clock) as timer:
            try:
                value = await endpoint.attempt(body, read, divisible)
            except RequestError as error:
                error.__cause__ = error.__context__ = None
                failed = error.with_traceback(None)
        return Attempt(value, failed, stated, timer.waits())


def _into(stated: dict[str, StatedLimit]) -> Callable[[Mapping[str, StatedLimit]], None]:
    return stated.update


async def attempt_on_worker(
    endpoint: Endpoint, body: bytes, read: Callable[[DecodedReply], T], divisible: bool, _: int, *, executor: Executor, part: WorkerPart
) -> T:
    """Have one attempt made on a worker, and return what `read` makes of the reply.

    Raises RequestError, for a worker that was lost as for a connection that was; TryLaterError where no worker can be had.
    """
    longest = 2 * endpoint.timeout + LATE
    try:
        async with asyncio.timeout(longest):
            answer = await executor.run(part, "attempt", body, read, divisible, endpoint.proven)
    except (WorkerLostError, TimeoutError) as error:
        late = isinstance(error, TimeoutError)
        words = f"its worker has not answered within {longest:g} s" if late else endpoint.shown(str(error))
        raise RequestError(f"{endpoint.host}: {words}", Verdict(FailureClass.TRANSIENT, words), timed_out=late) from error
    made: Attempt[T] = answer.value
    connect, decode = made.waits.connect, made.waits.decode
    attempt_made_on(answer.worker, Waits(queue=answer.queue, ship=answer.ship, connect=connect, decode=decode))
    endpoint.learn(made.stated)
    if made.error is not None:
        # As here: what took too long is known by its cause.
        raise made.error from (TimeoutError() if made.error.timed_out else None)
    return made.value  # type: ignore[return-value]  # without an error there is one
