"""Our own chat model keeps what every chat model promises."""

import pytest_asyncio

from asyncrun.llms.openai import OpenAIChat
from asyncrun.testing.llms import LlmContract
from asyncrun.testing.server import FakeServer


@pytest_asyncio.fixture
async def llm():
    with FakeServer().in_thread() as server:
        async with OpenAIChat(model="m", base_url=server.base_url, system="In one word.") as chat:
            yield chat


class TestOpenAIChat(LlmContract):
    pass
