"""Embedders: texts in, proven vectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

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

# Imported on use: numpy, httpx and the model's runtime cost more than everything else together.
__getattr__ = load_on_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
