"""A chat model for a fake server: hasty, so that no test waits for a backoff, and always with the same jitter."""

import random

import pytest

from asyncrun.aio.retry import RetryPolicy
from asyncrun.llms.openai import OpenAIChat


@pytest.fixture
def ask():
    """Ask a server some questions at once, or one."""
    import asyncio

    async def ask(server, *prompts, one_by_one=False, **options):
        options.setdefault("retry", RetryPolicy(base=0.001, max_backoff=0.01))
        llm = OpenAIChat(model="m", base_url=server.base_url, rng=random.Random(1), **options)
        try:
            if one_by_one:
                return [await llm.complete(llm.messages(prompt)) for prompt in prompts]
            calls = (llm.complete(llm.messages(prompt)) for prompt in prompts or ["Why?"])
            found = await asyncio.gather(*calls)
            return found if prompts else found[0]
        finally:
            await llm.aclose()

    return ask
