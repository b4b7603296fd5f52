"""A model's batch endpoint is where its online requests go, with the same key."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from asyncrun.app.model_builder import ModelBuilder, SharedLimits
from asyncrun.batches.interface import BatchEndpoint
from asyncrun.errors import MissingKeyError, UsageError
from asyncrun.jobfile.sections import EmbedderConfig, LlmConfig
from asyncrun.testing import FakeClock

KEYS = ("OPENAI", "VOYAGE", "MISTRAL", "GEMINI", "ANTHROPIC", "AZURE_OPENAI")


def endpoint_of(config: EmbedderConfig | LlmConfig, environ: dict[str, str] | None = None) -> BatchEndpoint:
    keys = {f"{name}_API_KEY": "a-key-of-ours" for name in KEYS} | {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com"}
    limits = SharedLimits(FakeClock(), random.Random(1), keys if environ is None else environ)
    return ModelBuilder(limits, Path(), None, warn=str).batch_endpoint(config)  # type: ignore[arg-type] (nothing is asked of the ledger)


@pytest.mark.parametrize(
    ("provider", "host"),
    [
        ("openai", "api.openai.com"),
        ("azure", "me.openai.azure.com"),
        ("mistral", "api.mistral.ai"),
        ("gemini", "generativelanguage.googleapis.com"),
        ("anthropic", "api.anthropic.com"),
    ],
)
def test_every_provider_of_answers_has_its_own(provider: str, host: str) -> None:
    endpoint = endpoint_of(LlmConfig(provider=provider, model="m"))
    assert (endpoint.provider, endpoint.host, endpoint.terms.inputs_per_request) == (provider, host, None)


@pytest.mark.parametrize(
    ("provider", "inputs"), [("openai", 50_000), ("azure", None), ("mistral", None), ("gemini", None), ("voyage", 100_000)]
)
def test_every_provider_of_vectors_has_its_own(provider: str, inputs: int | None) -> None:
    endpoint = endpoint_of(EmbedderConfig(provider=provider, model="m"))
    assert (endpoint.provider, endpoint.terms.inputs) == (provider, inputs)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"provider": "cohere", "model": "m"}, "cohere has no batch endpoint; known: anthropic, azure, gemini, mistral, openai, voyage"),
        ({"provider": "local"}, "local has no batch endpoint"),
        ({"provider": "openai", "model": "m", "endpoints": [{"base_url": "http://a/v1"}, {"base_url": "http://b/v1"}]}, "one endpoint"),
    ],
)
def test_what_has_none_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        endpoint_of(EmbedderConfig(**settings))


def test_a_key_that_is_not_set_is_missed_before_anything_is_sent() -> None:
    with pytest.raises(MissingKeyError):
        endpoint_of(LlmConfig(provider="anthropic", model="m"), environ={})
