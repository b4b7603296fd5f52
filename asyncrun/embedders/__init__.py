"""Embedders: texts in, proven vectors out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncrun.embedders.base import BaseEmbedding
    from asyncrun.embedders.compare import SimilarityMode, similarity
    from asyncrun.embedders.local import LocalEmbedding
    from asyncrun.embedders.openai import OpenAIEmbedding

__all__ = ["BaseEmbedding", "LocalEmbedding", "OpenAIEmbedding", "SimilarityMode", "similarity"]

_HOMES = {
    "BaseEmbedding": "base",
    "LocalEmbedding": "local",
    "OpenAIEmbedding": "openai",
    "SimilarityMode": "compare",
    "similarity": "compare",
}


def __getattr__(name: str) -> Any:
    # Imported on use: numpy, httpx and the model's runtime cost more than everything else together.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
