"""Tokens that go in and tokens that come out are limits of their own, beside the limit of all of them."""

import asyncio
import random

import pytest

from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits, StatedLimit
from asyncrun.testing import FakeClock


def limiter(**limits):
    return Limiter(Limits(**limits), FakeClock(), random.Random(1))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("limits", "waits"),
    [
        ({"output_tokens_per_minute": 600}, True),
        ({"input_tokens_per_minute": 600}, False),
        ({"tokens_per_minute": 600}, True),
    ],
)
async def test_a_request_waits_for_the_unit_that_it_uses_up(limits, waits):
    limited = limiter(**limits)
    async with limited.permit(tokens=510, output_tokens=500) as permit:
        permit.succeeded()
    _, seconds = limited.expected_wait({"requests": 1, "tokens": 510, "input_tokens": 10, "output_tokens": 500})
    assert (seconds > 10) == waits


@pytest.mark.asyncio
async def test_what_did_not_come_out_is_given_back():
    limited = limiter(output_tokens_per_minute=600)
    async with limited.permit(tokens=510, output_tokens=500) as permit:
        permit.settle(tokens=20, output_tokens=10)
        permit.succeeded()
    assert limited.expected_wait({"requests": 1, "output_tokens": 500})[1] < 2


def test_a_server_may_state_them():
    limited = limiter()
    limited.learn({"input_tokens": StatedLimit(30_000), "output_tokens": StatedLimit(8_000)})
    assert (limited.known.input_tokens_per_minute, limited.known.output_tokens_per_minute) == (30_000, 8_000)
    assert limited.known.tokens_per_minute is None
    assert asyncio.run(limited.reserve(tokens=10)) is not None
