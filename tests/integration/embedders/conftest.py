"""Embedders for a fake server: hasty, so that no test waits for a backoff, and always with the same jitter."""

import random

import pytest

from asyncrun.aio.retry import RetryPolicy
from asyncrun.embedders import OpenAIEmbedding


@pytest.fixture
def embedder_of():
    """Make an embedder for a server."""

    def make(server, **options):
        options.setdefault("retry", RetryPolicy(base=0.001, max_backoff=0.01))
        options.setdefault("model", "m")
        return OpenAIEmbedding(base_url=server.base_url, rng=random.Random(1), **options)

    return make


@pytest.fixture
def embed(embedder_of):
    """Embed texts with an embedder that is closed afterwards."""

    async def embed(server, texts=tuple(f"text {number}" for number in range(10)), **options):
        async with embedder_of(server, **options) as embedder:
            return (await embedder.aembed(texts)).or_raise()

    return embed
