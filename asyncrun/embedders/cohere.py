"""Cohere's dialect, version 2: texts under `texts`, vectors by type, and warnings beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncrun.embedders.ask import Rows
from asyncrun.embedders.provided import ProviderEmbedding
from asyncrun.embedders.replies import count_of, list_of, part_of
from asyncrun.records import InputType


class CohereEmbedding(ProviderEmbedding):
    """Embeds with Cohere, or with a server that has its `/v2/embed`.

    The arguments are those of `ProviderEmbedding`; the key's variables are CO_API_KEY and COHERE_API_KEY.
    """

    provider = "cohere"

    def _request(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        fields = self._fields(input_type, cut=cut)
        return {"model": self.model_name, **fields, "texts": texts, "embedding_types": ["float"], **self._extra}

    def _read(self, document: Any) -> Rows:
        meta = part_of(document, "meta")
        warnings = part_of(meta, "warnings")
        return Rows(
            list_of(document, "embeddings", "float"),
            tokens=count_of(part_of(meta, "billed_units"), "input_tokens"),
            warnings=tuple(str(words) for words in warnings) if isinstance(warnings, list) else (),
        )
