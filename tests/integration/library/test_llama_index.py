"""Our embedders as an embedding class of LlamaIndex: in its pipeline and index, told to its manager, paid for once."""

from __future__ import annotations

import asyncio
import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asyncrun.embedders import OpenAIEmbedding
from asyncrun.errors import ItemError, MissingExtraError, UsageError
from asyncrun.testing.server import FakeServer

PIPELINE = Path(__file__).resolve().parents[2] / "programs" / "llama_index_pipeline.py"
theirs = pytest.mark.needs("llama-index")


def embedding(server: FakeServer, ledger: Path | None = None, **rest: Any) -> Any:
    from asyncrun.llama_index import AsyncrunEmbedding

    return AsyncrunEmbedding(OpenAIEmbedding(model="m", base_url=server.base_url, api_key="sk-1", query_prefix="q: "), ledger, **rest)


@pytest.fixture
def kept(server: FakeServer, tmp_path: Path) -> Any:
    return embedding(server, tmp_path)


@theirs
def test_an_index_is_built_and_asked_and_built_again_for_nothing(server: FakeServer, tmp_path: Path) -> None:
    from llama_index.core import Document, VectorStoreIndex

    documents = [Document(text=f"document {number}") for number in range(30)]
    for _ in range(2):
        embed_model = embedding(server, tmp_path)
        index = VectorStoreIndex.from_documents(documents, embed_model=embed_model)
        [hit] = index.as_retriever(similarity_top_k=1).retrieve("document 7")
        assert hit.score is not None
        embed_model.close()
    assert sorted(server.sent_texts) == sorted(["q: document 7", *(document.text for document in documents)])


@theirs
def test_a_pipeline_that_is_killed_goes_on_where_it_was(server: FakeServer, tmp_path: Path) -> None:
    command = [sys.executable, str(PIPELINE), server.base_url, str(tmp_path), "20"]
    server.latency = lambda request: 60.0 if "document 11" in request.texts else 0.0
    with subprocess.Popen(command) as killed:
        while "document 11" not in server.sent_texts:
            assert killed.poll() is None
        killed.kill()
    sent = list(server.sent_texts)
    server.latency = 0.0
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "20\n"
    finished = {f"document {number}" for number in range(10)}
    assert finished <= set(sent)
    assert finished.isdisjoint(server.sent_texts[len(sent) :])
    assert {f"document {number}" for number in range(20)} == set(server.sent_texts)


@theirs
@pytest.mark.asyncio
async def test_all_ways_give_the_same_vectors_also_inside_of_a_loop(kept: Any) -> None:
    texts = ["one", "two"]
    [vector, _] = rows = await kept.aget_text_embedding_batch(texts)
    assert rows == await asyncio.to_thread(kept.get_text_embedding_batch, texts)
    assert await kept.aget_text_embedding("one") == vector
    assert await kept.aget_query_embedding("one") == await asyncio.to_thread(kept.get_query_embedding, "one")
    await kept.aclose()


@theirs
@pytest.mark.asyncio
async def test_synchronous_calls_work_where_a_loop_runs(kept: Any) -> None:
    assert kept.get_text_embedding_batch(["one"]) == [kept.get_text_embedding("one")]
    await kept.aclose()


@theirs
def test_their_manager_is_told_as_they_tell_it(server: FakeServer) -> None:
    from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler

    handler = LlamaDebugHandler(print_trace_on_end=False)
    model = embedding(server, callback_manager=CallbackManager([handler]))
    vectors = model.get_text_embedding_batch(["one", "two"])
    [[start, end]] = handler.get_event_pairs(CBEventType.EMBEDDING)
    told = (start.payload or {})[EventPayload.SERIALIZED]
    assert (told["class_name"], told["model_name"]) == ("AsyncrunEmbedding", "m")
    assert end.payload == {EventPayload.CHUNKS: ["one", "two"], EventPayload.EMBEDDINGS: vectors}


@theirs
def test_a_text_without_a_vector_is_named(server: FakeServer) -> None:
    with pytest.raises(ItemError, match="text 1"):
        embedding(server).get_text_embedding_batch(["one", " "])


@theirs
def test_their_cache_of_a_pipeline_tells_models_apart(server: FakeServer) -> None:
    from asyncrun.llama_index import AsyncrunEmbedding

    small, large = (AsyncrunEmbedding(OpenAIEmbedding(model="m", api_key="k", dimensions=size)) for size in (8, 16))
    assert small.to_dict() != large.to_dict()
    assert "k" not in small.to_dict().values()


@theirs
def test_a_pipeline_of_several_processes_is_refused_with_a_sentence(server: FakeServer) -> None:
    from llama_index.core import Document
    from llama_index.core.ingestion import IngestionPipeline

    pipeline = IngestionPipeline(transformations=[embedding(server)])
    with pytest.raises(UsageError, match="another process"):
        pipeline.run(documents=[Document(text="one"), Document(text="two")], num_workers=2)


def test_without_llama_index_a_sentence_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncrun.llama_index as ours

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(MissingExtraError, match="which is not installed") as raised:
        _ = ours.AsyncrunEmbedding
    assert raised.value.hint == "Install it: pip install 'asyncrun[llama-index]'."


def test_a_version_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncrun.llama_index as ours

    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.11.23")
    with pytest.raises(UsageError, match=r"0\.12 or newer, and 0\.11\.23 is installed") as raised:
        _ = ours.AsyncrunEmbedding
    assert raised.value.hint == "Update it: pip install 'llama-index-core>=0.12'."


def test_a_version_that_is_too_new_is_named_where_it_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncrun.llama_index as ours

    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0.0")
    monkeypatch.delitem(sys.modules, "asyncrun.llama_index.embedding", raising=False)
    monkeypatch.delattr(ours, "embedding", raising=False)
    monkeypatch.setitem(sys.modules, "llama_index.core.base.embeddings.base", None)
    with pytest.raises(UsageError, match=r"cannot use llama-index-core 1\.0\.0: ") as raised:
        _ = ours.AsyncrunEmbedding
    assert raised.value.hint == "It is tested up to 0.14: pip install 'llama-index-core==0.14.*', or update asyncrun."
