"""Our own chat model keeps what every chat model promises."""

import pytest_asyncio

from asyncrun.llms.openai import OpenAIChat
from asyncrun.testing.llms import LlmContract
from asyncrun.testing.server import FakeServer


@pytest_asyncio.fixture
async def llm():
    with FakeServer().in_thread() as server:
        chat = OpenAIChat(model="m", base_url=server.base_url, system="In one word.")
        yield chat
        await chat.aclose()


class TestOpenAIChat(LlmContract):
    pass
