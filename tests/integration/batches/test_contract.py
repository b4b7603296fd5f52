"""Each adapter keeps what every adapter of a batch endpoint promises, against the fake server of its vendor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncrun.registry import BUILT_IN
from asyncrun.testing.batches import BatchEndpointContract, PassTime

from .conftest import START, Rehearsal

TEXTS = ("one", "two and two", "three")


class AgainstFakes(BatchEndpointContract):
    provider: str
    purpose = "chat"

    @pytest.fixture
    def rehearsal(self, rehearse: Callable[..., Rehearsal]) -> Rehearsal:
        return rehearse()

    @pytest.fixture
    def endpoint(self, rehearsal: Rehearsal) -> Any:
        return rehearsal.endpoint(self.provider, self.purpose)

    @pytest.fixture
    def bodies(self) -> list[dict[str, Any]]:
        return [{"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 50} for text in TEXTS]

    @pytest.fixture
    def pass_time(self, rehearsal: Rehearsal) -> PassTime:
        return rehearsal.batches.advance

    @pytest.fixture
    def now(self) -> float:
        return START


class Embeddings(AgainstFakes):
    purpose = "embeddings"

    @pytest.fixture
    def bodies(self) -> list[dict[str, Any]]:
        return [{"model": "m", "input": [text, "again"]} for text in TEXTS]


class TestOpenAIChat(AgainstFakes):
    provider = "openai"


class TestOpenAIEmbeddings(Embeddings):
    provider = "openai"


class TestAzureChat(AgainstFakes):
    provider = "azure"


class TestAzureOlderForm(AgainstFakes):
    provider = "azure"

    @pytest.fixture
    def endpoint(self, rehearsal: Rehearsal) -> Any:
        url = rehearsal.server.vendor_url("azure").removesuffix("/openai/v1")
        return rehearsal.endpoint("azure", self.purpose, base_url=url, api_version="2025-04-01-preview")


class TestMistralChat(AgainstFakes):
    provider = "mistral"


class TestMistralEmbeddings(Embeddings):
    provider = "mistral"


class TestVoyageEmbeddings(Embeddings):
    provider = "voyage"


class TestGeminiChat(AgainstFakes):
    provider = "gemini"


class TestGeminiEmbeddings(AgainstFakes):
    provider = "gemini"
    purpose = "embeddings"

    @pytest.fixture
    def bodies(self) -> list[dict[str, Any]]:
        return [{"requests": [{"model": "models/m", "content": {"parts": [{"text": text}]}}]} for text in TEXTS]


class TestAnthropicChat(AgainstFakes):
    provider = "anthropic"


def test_every_built_in_name_has_a_suite() -> None:
    with_suites = {suite.provider for suite in globals().values() if isinstance(suite, type) and hasattr(suite, "provider")}
    assert with_suites == BUILT_IN["batches"].keys()
