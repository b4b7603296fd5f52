"""Our own chat models keep what every chat model promises."""

import pytest_asyncio

from asyncrun.llms.http_chat import HttpChat
from asyncrun.testing.llms import LlmContract
from asyncrun.testing.server import FakeServer


class TestOpenAIChat(LlmContract):
    provider = "openai"

    @pytest_asyncio.fixture
    async def llm(self):
        with FakeServer().in_thread() as server:
            options = {"model": "m", "provider": self.provider, "base_url": server.base_url, "system": "In one word."}
            async with HttpChat(**options) as chat:
                yield chat


class TestAnthropicChat(TestOpenAIChat):
    provider = "anthropic"
