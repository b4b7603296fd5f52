"""Embedders: texts in, proven vectors out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncrun.embedders.base import BaseEmbedding
    from asyncrun.embedders.cohere import CohereEmbedding
    from asyncrun.embedders.compare import SimilarityMode, similarity
    from asyncrun.embedders.gemini import GeminiEmbedding
    from asyncrun.embedders.isaacus import IsaacusEmbedding
    from asyncrun.embedders.local import LocalEmbedding
    from asyncrun.embedders.ollama import OllamaEmbedding
    from asyncrun.embedders.openai import OpenAIEmbedding
    from asyncrun.embedders.tei import HuggingFaceInferenceAPIEmbedding, TextEmbeddingsInference
    from asyncrun.embedders.vendors import (
        AzureOpenAIEmbedding,
        HerokuEmbedding,
        InfinityEmbedding,
        JinaEmbedding,
        LiteLLMEmbedding,
        LlamaCppEmbedding,
        LMStudioEmbedding,
        MistralAIEmbedding,
        VLLMEmbedding,
        VoyageEmbedding,
    )

__all__ = [
    "AzureOpenAIEmbedding",
    "BaseEmbedding",
    "CohereEmbedding",
    "GeminiEmbedding",
    "HerokuEmbedding",
    "HuggingFaceInferenceAPIEmbedding",
    "InfinityEmbedding",
    "IsaacusEmbedding",
    "JinaEmbedding",
    "LMStudioEmbedding",
    "LiteLLMEmbedding",
    "LlamaCppEmbedding",
    "LocalEmbedding",
    "MistralAIEmbedding",
    "OllamaEmbedding",
    "OpenAIEmbedding",
    "SimilarityMode",
    "TextEmbeddingsInference",
    "VLLMEmbedding",
    "VoyageEmbedding",
    "similarity",
]

_HOMES = {
    "AzureOpenAIEmbedding": "vendors",
    "BaseEmbedding": "base",
    "CohereEmbedding": "cohere",
    "GeminiEmbedding": "gemini",
    "HerokuEmbedding": "vendors",
    "HuggingFaceInferenceAPIEmbedding": "tei",
    "InfinityEmbedding": "vendors",
    "IsaacusEmbedding": "isaacus",
    "JinaEmbedding": "vendors",
    "LMStudioEmbedding": "vendors",
    "LiteLLMEmbedding": "vendors",
    "LlamaCppEmbedding": "vendors",
    "LocalEmbedding": "local",
    "MistralAIEmbedding": "vendors",
    "OllamaEmbedding": "ollama",
    "OpenAIEmbedding": "openai",
    "SimilarityMode": "compare",
    "TextEmbeddingsInference": "tei",
    "VLLMEmbedding": "vendors",
    "VoyageEmbedding": "vendors",
    "similarity": "compare",
}


def __getattr__(name: str) -> Any:
    # Imported on use: numpy, httpx and the model's runtime cost more than everything else together.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
