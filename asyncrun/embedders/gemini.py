"""Gemini's dialect: a request for every text, the model in the address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncrun.batching.proof import BadReplyError
from asyncrun.embedders.ask import Rows
from asyncrun.embedders.provided import ProviderEmbedding
from asyncrun.embedders.replies import count_of, list_of, part_of
from asyncrun.records import InputType


class GeminiEmbedding(ProviderEmbedding):
    """Embeds with Google's Gemini.

    The arguments are those of `ProviderEmbedding`; the key's variables are GEMINI_API_KEY and GOOGLE_API_KEY.
    """

    provider = "gemini"

    def _url(self, base_url: str, model: str) -> str:
        return super()._url(base_url, model.removeprefix("models/"))

    def _request(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        shared = {"model": f"models/{self.model_name.removeprefix('models/')}", **self._fields(input_type, cut=cut)}
        # Several parts of one content would be fused into one vector.
        return {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in texts], **self._extra}

    def _read(self, document: Any) -> Rows:
        rows = list_of(document, "embeddings")
        if not all(isinstance(row, dict) for row in rows):
            raise BadReplyError("the reply has no `values` under `embeddings`")
        return Rows([row.get("values") for row in rows], tokens=count_of(part_of(document, "usageMetadata"), "promptTokenCount"))
