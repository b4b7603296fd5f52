"""Limits that nobody has stated and the server tells: from its first reply on it has nothing to refuse."""

import asyncio
import random

import pytest

from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.endpoints.rate_headers import stated_limits
from asyncrun.testing.clock import FakeClock
from asyncrun.testing.quota import Meters, Quota


async def sent_to(meters, clock, count, *, tokens=0, learn=True, limits=None, others=0):
    """Send so many requests to a server with this meter; return how many it refused after its first reply, and how long it took."""
    limiter = Limiter(limits or Limits(concurrency=50), clock, random.Random(1), adaptive=False)
    refused = 0
    for _ in range(others):
        meters.admit({"requests": 1, "tokens": tokens, "inputs": 1}, clock.monotonic())

    async def send(first=False):
        nonlocal refused
        async with limiter.permit(tokens=tokens) as permit:
            wait = meters.admit({"requests": 1, "tokens": tokens, "inputs": 1}, clock.monotonic())
            if learn:
                limiter.learn(stated_limits(meters.headers(clock.monotonic()), clock.now()))
            if wait and not first:
                refused += 1
            permit.succeeded()

    await send(first=True)
    await asyncio.gather(*(send() for _ in range(count)))
    return refused, clock.monotonic(), limiter


@pytest.mark.asyncio
@pytest.mark.parametrize("quota", [Quota(requests=30), Quota(tokens=3000), Quota(requests=40, tokens=2500)])
async def test_after_the_first_reply_a_sliding_window_refuses_nothing(quota):
    refused, seconds, limiter = await sent_to(Meters(quota), FakeClock(), 200, tokens=100)
    assert refused == 0
    least = min(limit / units for limit, units in ((quota.requests, 1), (quota.tokens, 100)) if limit)
    assert seconds < 1.05 * 60 * 200 / least
    assert limiter.learned == {unit: limit for unit, limit in (("requests", quota.requests), ("tokens", quota.tokens)) if limit is not None}


@pytest.mark.asyncio
async def test_without_learning_the_same_server_refuses_many():
    refused, _, _ = await sent_to(Meters(Quota(requests=30)), FakeClock(), 200, learn=False)
    assert refused > 100


@pytest.mark.asyncio
@pytest.mark.parametrize("others", [1, 15, 28, 29])
async def test_what_another_process_has_used_of_this_minute_is_counted(others):
    refused, _, _ = await sent_to(Meters(Quota(requests=30)), FakeClock(), 90, others=others)
    assert refused == 0


@pytest.mark.asyncio
async def test_what_the_job_file_states_stays_and_is_not_called_learned():
    limits = Limits(requests_per_minute=10, concurrency=50)
    refused, seconds, limiter = await sent_to(Meters(Quota(requests=6000)), FakeClock(), 30, limits=limits)
    assert (refused, limiter.learned) == (0, {})
    assert seconds > 170


@pytest.mark.asyncio
async def test_of_a_learned_limit_our_share_is_used():
    _, seconds, limiter = await sent_to(Meters(Quota(requests=60)), FakeClock(), 60, limits=Limits(share=0.5, concurrency=50))
    assert seconds > 110
    assert limiter.learned == {"requests": 60.0}
