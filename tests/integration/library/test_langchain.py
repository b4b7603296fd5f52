"""Our embedders as LangChain's embeddings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from asyncrun.embedders import OpenAIEmbedding
from asyncrun.errors import MissingExtraError
from asyncrun.testing.server import FakeServer


@pytest.mark.needs("langchain")
@pytest.mark.asyncio
async def test_a_vector_store_is_filled_and_asked_and_filled_again_for_nothing(server: FakeServer, tmp_path: Path) -> None:
    from langchain_core.vectorstores import InMemoryVectorStore

    from asyncrun.langchain import AsyncrunEmbeddings

    embedder = OpenAIEmbedding(model="m", base_url=server.base_url, api_key="sk-1", query_prefix="q: ")
    for _ in range(2):
        embeddings = AsyncrunEmbeddings(embedder, ledger=tmp_path)
        store = await InMemoryVectorStore.afrom_texts(["one", "two"], embeddings)
        assert len(await store.asimilarity_search("one", k=1)) == 1
        assert embeddings.embed_documents(["two", "one"]) == (await embeddings.aembed_documents(["one", "two"]))[::-1]
        assert embeddings.embed_query("one") == await embeddings.aembed_query("one")
        await embeddings.aclose()
    assert sorted(server.sent_texts) == ["one", "q: one", "two"]


def test_without_langchain_a_sentence_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncrun.langchain as ours

    monkeypatch.setitem(sys.modules, "asyncrun.langchain.embeddings", None)
    with pytest.raises(MissingExtraError, match="which is not installed") as raised:
        _ = ours.AsyncrunEmbeddings
    assert raised.value.hint == "Install it: pip install 'asyncrun[langchain]'."
