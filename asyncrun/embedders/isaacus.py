"""Isaacus' dialect: texts under `texts`, vectors with an index under `embeddings`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncrun.batching.proof import BadReplyError
from asyncrun.embedders.ask import Rows
from asyncrun.embedders.provided import ProviderEmbedding
from asyncrun.embedders.replies import count_of, list_of, part_of
from asyncrun.records import InputType


class IsaacusEmbedding(ProviderEmbedding):
    """Embeds with Isaacus; the default model is kanon-2-embedder.

    The arguments are those of `ProviderEmbedding`; the variables are ISAACUS_API_KEY and ISAACUS_BASE_URL.
    """

    provider = "isaacus"

    def _request(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        return {"model": self.model_name, **self._fields(input_type, cut=cut), "texts": texts, **self._extra}

    def _read(self, document: Any) -> Rows:
        rows = list_of(document, "embeddings")
        if not all(isinstance(row, dict) for row in rows):
            raise BadReplyError("the reply has no `embedding` under `embeddings`")
        tokens = count_of(part_of(document, "usage"), "input_tokens")
        return Rows([row.get("embedding") for row in rows], [row.get("index") for row in rows], tokens)
