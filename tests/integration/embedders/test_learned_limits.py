"""Limits that the job file leaves out are learned from the headers of a reply, and the next requests keep to them."""

import asyncio
import random

import pytest

from asyncrun.aio.limits import Limits
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.testing.clock import FakeClock
from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer

COUNT = 30


async def embed(**headers):
    """Embed as fast as one may; return what was learned, and the virtual seconds that it took."""
    told = Fault(headers={name.replace("_", "-"): value for name, value in headers.items()}, times=None)
    limits, clock = Limits(concurrency=20), FakeClock()
    async with (
        FakeServer(faults=[told]) as server,
        OpenAIEmbedding(model="m", base_url=server.base_url, rng=random.Random(1), limits=limits, clock=clock, timeout=600) as embedder,
    ):
        await embedder.aembed(["first"])
        await asyncio.gather(*(embedder.aembed([f"text {number}"]) for number in range(COUNT)))
        assert len(server.requests) == COUNT + 1
        return embedder.endpoint.limiter.learned, clock.monotonic()


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
async def test_what_a_server_tells_of_its_limit_is_kept(headers):
    learned, seconds = await embed(**headers)
    assert learned == {"requests": 30.0}
    assert seconds >= 58


@pytest.mark.asyncio
async def test_a_server_that_tells_of_no_limit_is_asked_at_once():
    assert await embed() == ({}, 0.0)
