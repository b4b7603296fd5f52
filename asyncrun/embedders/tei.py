"""The dialect of Text Embeddings Inference and of Hugging Face's feature extraction: bare lists of vectors, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncrun.batching.proof import BadReplyError
from asyncrun.embedders.ask import Rows
from asyncrun.embedders.provided import ProviderEmbedding
from asyncrun.embedders.replies import list_of
from asyncrun.records import InputType


class TextEmbeddingsInference(ProviderEmbedding):
    """Embeds with a server of Text Embeddings Inference, by its own form, which says what becomes of texts that are too long.

    The arguments are those of `ProviderEmbedding`.
    """

    provider = "tei"

    def _request(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        return {"inputs": texts, **self._fields(input_type, cut=cut), **self._extra}

    def _read(self, document: Any) -> Rows:
        rows = list_of(document)
        if rows and all(isinstance(row, list) and row and isinstance(row[0], list) for row in rows):
            raise BadReplyError("it has a vector for every token: the model is none of whole texts")
        return Rows(rows)


class HuggingFaceInferenceAPIEmbedding(TextEmbeddingsInference):
    """Embeds with Hugging Face's inference service.

    The arguments are those of `ProviderEmbedding`; the key's variable is HF_TOKEN.
    """

    provider = "huggingface"
