"""Adapters that are not connected to anything: what they read and write needs no network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncrun.registry import load

TAG = "0123456789abcdefghij"
BASES = {"azure": "https://me.openai.azure.com"}


@pytest.fixture
def adapter() -> Callable[..., Any]:
    """Return a function that makes the adapter of a provider."""

    def make(provider: str, purpose: str = "chat", **settings: Any) -> Any:
        settings = {"model": "m", "base_url": BASES.get(provider), "environ": {}, "api_key": "a-secret-key-of-ours", **settings}
        return load("batches", provider)(purpose=purpose, **settings)

    return make
