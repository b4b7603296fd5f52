"""Embedders: texts in, proven vectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.embedders.base import BaseEmbedding
    from asyncrun.embedders.library_methods import mean_agg
    from asyncrun.embedders.local_embedder import LocalEmbedding
    from asyncrun.embedders.provider_classes import (
        AzureOpenAIEmbedding,
        CohereEmbedding,
        GeminiEmbedding,
        GoogleGenAIEmbedding,
        HerokuEmbedding,
        HuggingFaceInferenceAPIEmbedding,
        InfinityEmbedding,
        IsaacusEmbedding,
        JinaEmbedding,
        LiteLLMEmbedding,
        LlamaCppEmbedding,
        LMStudioEmbedding,
        MistralAIEmbedding,
        OllamaEmbedding,
        OpenAIEmbedding,
        TextEmbeddingsInference,
        VLLMEmbedding,
        VoyageEmbedding,
    )
    from asyncrun.embedders.same_model import SimilarityMode, similarity

__all__ = [
    "AzureOpenAIEmbedding",
    "BaseEmbedding",
    "CohereEmbedding",
    "GeminiEmbedding",
    "GoogleGenAIEmbedding",
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
    "mean_agg",
    "similarity",
]

# Imported on use: numpy, httpx and the model's runtime cost more than everything else together.
__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "provider_classes": __all__,  # but for these
        "base": ["BaseEmbedding"],
        "library_methods": ["mean_agg"],
        "local_embedder": ["LocalEmbedding"],
        "same_model": ["SimilarityMode", "similarity"],
    },
)
