"""An embedding class of LlamaIndex around any of our embedders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr

from asyncrun.app.durable_embedder import DurableEmbedder
from asyncrun.embedders import BaseEmbedding as Embedder
from asyncrun.errors import UsageError
from asyncrun.records import InputType

MOST_TEXTS = 2048
"""Texts that LlamaIndex hands over at once: how many go into a request, and how many requests are under way, is the embedder's business."""


class AsyncrunEmbedding(BaseEmbedding):
    """Embeds LlamaIndex's nodes with one of our embedders: in full batches, many at a time, within its limits, with its retries.

    Args:
        embedder: one of `asyncrun.embedders`.
        ledger: a folder that keeps finished vectors, such as `.asyncrun`: a text that is finished is not sent again, by whichever program
            or job, also when this one is killed in the middle. None: nothing is kept.
        rest: what LlamaIndex's embedding classes take: `callback_manager`, `embed_batch_size`, `num_workers`, ...

    Its calls raise our errors (ItemError for a text without a vector, AuthError, OutageError, ...) after all that was answered is kept.

    >>> from asyncrun.embedders import LocalEmbedding
    >>> embedding = AsyncrunEmbedding(LocalEmbedding())
    >>> len(embedding.get_text_embedding("good morning"))
    384
    """

    space: str = Field(description="What names the vector space: an ingestion cache knows by it that another model is another one.")
    _durable: DurableEmbedder = PrivateAttr()

    def __init__(self, embedder: Embedder, ledger: str | Path | None = None, **rest: Any) -> None:
        rest.setdefault("embed_batch_size", MOST_TEXTS)
        super().__init__(model_name=embedder.model_name, space=embedder.space(InputType.DOCUMENT).fingerprint, **rest)
        self._durable = DurableEmbedder(embedder, ledger)

    @classmethod
    def class_name(cls) -> str:
        """Return the name by which LlamaIndex knows the class."""
        return "AsyncrunEmbedding"

    def __getstate__(self) -> dict[str, Any]:
        hint = "Leave out num_workers of the pipeline: the embedder has many requests under way by itself."
        raise UsageError("an AsyncrunEmbedding cannot be sent to another process", hint=hint)

    def close(self) -> None:
        """Close the ledger; the next call opens it anew."""
        self._durable.close()

    async def aclose(self) -> None:
        """Close the ledger and the embedder's connections; the next call opens them anew."""
        await self._durable.aclose()

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._durable.embed([query], InputType.QUERY)[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return (await self._durable.aembed([query], InputType.QUERY))[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._durable.embed([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._durable.aembed([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._durable.embed(texts)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await self._durable.aembed(texts)
