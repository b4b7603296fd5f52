"""Our own embedders keep what every embedder promises, each in its own dialect."""

from collections.abc import Iterator

import pytest
import pytest_asyncio

from asyncrun import registry
from asyncrun.embedders import LocalEmbedding
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.testing.embedders import EmbedderContract
from asyncrun.testing.server import FakeServer


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer().in_thread() as server:
        yield server


class TestProviders(EmbedderContract):
    @pytest_asyncio.fixture(params=sorted(PROVIDERS))
    async def embedder(self, request, server):
        async with registry.load("embedders", request.param)(model="m", base_url=server.base_url, api_key="k") as embedder:
            yield embedder


class TestLocal(EmbedderContract):
    @pytest_asyncio.fixture
    async def embedder(self):
        async with LocalEmbedding() as embedder:
            yield embedder
