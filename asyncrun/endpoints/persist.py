"""Asking an endpoint until it answers or refuses: its limiter, circuit and retries, and the haste of the first request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from asyncrun.aio.attempts import AttemptCounts, Attempted, with_retries
from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.endpoints.exchange import RefusedError
from asyncrun.errors import AsyncrunError
from asyncrun.records import Usage, usage_of

CANARY_ATTEMPTS = 3
CANARY_BACKOFF = 1.0
T = TypeVar("T")


async def persist(
    endpoint: Endpoint,
    attempt: Callable[[int], Awaitable[T]],
    *,
    tokens: float,
    inputs: float,
    used: Callable[[T], float | None],
    tally: AttemptCounts,
) -> Attempted[T]:
    """Make attempts until one is answered or refused.

    Args:
        endpoint: whose permits are taken and whose patience counts.
        attempt: sends once; raises RefusedError.
        tokens: what one attempt is expected to use.
        inputs: how many texts it carries.
        used: says how many tokens the value really used, None if it does not tell.
        tally: filled in on the way.

    Raises RefusedError, ThrottledError, OutageError.
    """
    send = partial(
        with_retries,
        attempt,
        budget=endpoint.budget,
        circuit=endpoint.circuit,
        limiter=endpoint.limiter,
        clock=endpoint.clock,
        rng=endpoint.rng,
        tokens=tokens,
        inputs=inputs,
        classify=_meaning,
        used=used,
        tally=tally,
    )
    policy = endpoint.policy
    if endpoint.proven:
        return await send(policy=policy)
    # Whoever waits at the start has nothing to lose: an address where nobody listens is told within seconds.
    hasty = replace(policy, attempts=min(policy.attempts, CANARY_ATTEMPTS), max_backoff=min(policy.max_backoff, CANARY_BACKOFF))
    try:
        return await send(policy=hasty)
    except RefusedError as error:
        given_up = policy.hasty and not error.reached
        if error.verdict.failure is not FailureClass.TRANSIENT or given_up or tally.failures >= policy.attempts:
            raise
    return await send(policy=policy)


@contextmanager
def telling_usage(usage: Callable[[], Usage]) -> Iterator[None]:
    """Have an error that ends the block tell what was used, though nothing came of it."""
    try:
        yield
    except AsyncrunError as error:
        error.used = usage_of(error) + usage()
        raise


def _meaning(error: Exception) -> tuple[FailureClass, float | None]:
    if isinstance(error, RefusedError):
        return error.verdict.failure, error.hint
    raise error
