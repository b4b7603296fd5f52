"""An embedder of asyncrun that answers at once from a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from table_vectors import DIMENSIONS, row_of, table

from asyncrun.embedders import BaseEmbedding
from asyncrun.embedders.tokenizer import MiniLMTokenizer
from asyncrun.packing import BatchLimits
from asyncrun.records import Embedded, InputType, Space
from asyncrun.usage import Usage


class TableEmbedding(BaseEmbedding):
    """Answers at once; texts are measured in tokens of all-MiniLM-L6-v2."""

    provider = "table"

    def __init__(self, *, model: str = "table", **settings: object) -> None:
        super().__init__(model=model, batch=BatchLimits(max_items=128), workers=2)
        self.tokenizer = MiniLMTokenizer()

    def space(self, input_type: InputType) -> Space:
        return Space(self.provider, self.model_name)

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    async def _embed(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> Embedded:
        rows = table()[np.array([row_of(text) for text in texts])]
        return Embedded(rows, tuple(range(len(texts))), usage=Usage(requests=1))
