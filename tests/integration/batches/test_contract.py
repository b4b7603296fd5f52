"""Each adapter keeps what every adapter of a batch endpoint promises, against the fake server of its vendor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
