"""What everything behind HTTP can be given, and the endpoint made from it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TypedDict

from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import CircuitBreaker, RetryBudget, RetryPolicy
from asyncrun.clock import Clock, SystemClock
from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.errors import MissingExtraError


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


def build_endpoint(url: str, auth: Mapping[str, str], options: EndpointOptions, kind: type[Endpoint] = Endpoint) -> Endpoint:
    """Return the endpoint, of this kind; `auth` is the header that carries the key.

    Raises UsageError for an address or a header that cannot be used, MissingExtraError for HTTP/2 without the extra.
    """
    http2 = options.get("http2", False)
    if http2 and find_spec("h2") is None:
        raise MissingExtraError("http2 needs the extra 'http2', which is not installed", hint="Install it: pip install 'asyncrun[http2]'.")
    clock = options.get("clock") or SystemClock()
    rng = options.get("rng") or random.Random()  # noqa: S311 (jitter, no secret)
    return kind(
        url=url,
        headers={**auth, **options.get("headers", {})},
        limiter=options.get("limiter") or Limiter(options.get("limits") or Limits(), clock, rng),
        circuit=options.get("circuit") or CircuitBreaker(),
        budget=options.get("budget") or RetryBudget(),
        policy=options.get("retry") or RetryPolicy(hasty=True),
        clock=clock,
        rng=rng,
        timeout=options.get("timeout", 60.0),
        http2=http2,
    )
