"""Several places of one chat model: one that refuses is left out, and what was asked of it is not forgotten."""

import random

import pytest

from asyncrun.aio.retry import RetryPolicy
from asyncrun.errors import AuthError
from asyncrun.llms.openai import OpenAIChat
from asyncrun.llms.several import SeveralChats
from asyncrun.records import Answer
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

REFUSED = error(401, "no", code="invalid_api_key", times=None)


async def ask(*servers, warn=lambda _: None):
    options = {"retry": RetryPolicy(base=0.001, max_backoff=0.01), "rng": random.Random(1)}
    llm = SeveralChats([OpenAIChat(model="m", base_url=server.base_url, **options) for server in servers], warn=warn)
    try:
        return await llm.complete(llm.messages("Why?"))
    finally:
        await llm.aclose()


@pytest.mark.asyncio
async def test_a_place_that_refuses_is_left_out_and_its_request_counts():
    said = []
    async with FakeServer(faults=[REFUSED]) as bad, FakeServer() as good:
        completion = await ask(bad, good, warn=said.append)
    assert isinstance(completion.answer, Answer)
    assert completion.error is None
    assert completion.usage.requests == len(bad.requests) + len(good.requests) == 2
    [sentence] = said
    assert "is left out" in sentence


@pytest.mark.asyncio
async def test_when_none_is_left_the_completion_says_why_and_what_was_sent():
    async with FakeServer(faults=[REFUSED]) as one, FakeServer(faults=[REFUSED]) as other:
        completion = await ask(one, other)
    assert completion.answer is None
    assert isinstance(completion.error, AuthError)
    assert "no endpoint is left" in completion.error.message
    assert completion.usage.requests == len(one.requests) + len(other.requests) == 2
