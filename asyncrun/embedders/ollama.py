"""Ollama's own dialect, which says what becomes of texts that are too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncrun.embedders.ask import Rows
from asyncrun.embedders.provided import ProviderEmbedding
from asyncrun.embedders.replies import count_of, list_of, text_of
from asyncrun.records import InputType


class OllamaEmbedding(ProviderEmbedding):
    """Embeds with Ollama.

    The arguments are those of `ProviderEmbedding`; the variables are OLLAMA_HOST and OLLAMA_API_KEY.
    """

    provider = "ollama"

    def _url(self, base_url: str, model: str) -> str:
        # Many have the address of its other form at hand.
        return super()._url(base_url.removesuffix("/v1"), model)

    def _request(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        return {"model": self.model_name, **self._fields(input_type, cut=cut), "input": texts, **self._extra}

    def _read(self, document: Any) -> Rows:
        rows = list_of(document, "embeddings")
        return Rows(rows, tokens=count_of(document, "prompt_eval_count"), model=text_of(document, "model"))
