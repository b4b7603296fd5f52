"""Limits that the job file leaves out are learned from headers: a server with a sliding window then has nothing to refuse."""

import asyncio
import random
import time

import pytest

from asyncrun.aio.limits import Limits
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.testing.faults import Fault
from asyncrun.testing.quota import Quota
from asyncrun.testing.server import FakeServer

HASTE = 30
"""A minute of this clock is two seconds of the server's."""
WINDOW = Quota(requests=33, seconds=60 / HASTE, told=False)
"""A tenth more than it tells: what goes out evenly may arrive a little less so."""


class HastyClock:
    """Time that runs faster."""

    def now(self):
        return time.time()

    def monotonic(self):
        return time.monotonic() * HASTE

    async def sleep(self, seconds):
        await asyncio.sleep(seconds / HASTE)


async def embed(count=100, **headers):
    """Embed as fast as one may; return how many requests were refused, and what was learned."""
    told = Fault(headers={name.replace("_", "-"): value for name, value in headers.items()}, times=None)
    limits, clock = Limits(concurrency=20), HastyClock()
    async with (
        FakeServer(quota=WINDOW, faults=[told]) as server,
        OpenAIEmbedding(model="m", base_url=server.base_url, rng=random.Random(1), limits=limits, clock=clock, timeout=600) as embedder,
    ):
        await embedder.aembed(["first"])
        await asyncio.gather(*(embedder.aembed([f"text {number}"]) for number in range(count)))
        return len(server.requests) - count - 1, embedder.endpoint.limiter.learned


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        {"x_ratelimit_limit_requests": "30", "x_ratelimit_reset_requests": "1s"},
        {"x_ratelimit_limit_req_minute": "30"},
        {"ratelimit_policy": '"fixed window";"api";q=150;w=300'},
    ],
    ids=["openai", "mistral", "ietf"],
)
async def test_nothing_is_refused_once_the_limit_is_known(headers):
    assert await embed(**headers) == (0, {"requests": 30.0})


@pytest.mark.asyncio
async def test_the_same_server_refuses_when_it_says_nothing_of_its_limit():
    refused, learned = await embed()
    assert refused > 0
    assert learned == {}
