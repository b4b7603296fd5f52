"""LangChain's embeddings around any of our embedders."""

from __future__ import annotations

from pathlib import Path

from langchain_core.embeddings import Embeddings

from asyncrun.app.durable_embedder import DurableEmbedder
from asyncrun.embedders import BaseEmbedding
from asyncrun.records import InputType


class AsyncrunEmbeddings(Embeddings):
    """Embeds LangChain's documents with one of our embedders: in full batches, many at a time, within its limits, with its retries.

    Args:
        embedder: one of `asyncrun.embedders`.
        ledger: a folder that keeps finished vectors, such as `.asyncrun`: a text that is finished is not sent again, by whichever program
            or job, also when this one is killed in the middle. None: nothing is kept.

    Its calls raise our errors (ItemError for a text without a vector, AuthError, OutageError, ...) after all that was answered is kept.

    >>> from asyncrun.embedders import LocalEmbedding
    >>> len(AsyncrunEmbeddings(LocalEmbedding()).embed_query("good morning"))
    384
    """

    def __init__(self, embedder: BaseEmbedding, ledger: str | Path | None = None) -> None:
        self._durable = DurableEmbedder(embedder, ledger)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of documents."""
        return self._durable.embed(texts)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return self._durable.embed([text], InputType.QUERY)[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of documents."""
        return await self._durable.aembed(texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return (await self._durable.aembed([text], InputType.QUERY))[0]

    def close(self) -> None:
        """Close the ledger; the next call opens it anew."""
        self._durable.close()

    async def aclose(self) -> None:
        """Close the ledger and the embedder's connections; the next call opens them anew."""
        await self._durable.aclose()
