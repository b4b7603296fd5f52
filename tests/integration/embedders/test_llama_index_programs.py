"""Programs written for LlamaIndex's Heroku and Isaacus classes, with the import switched: their steps, and what goes wrong in them."""

import asyncio
import threading

import pytest

from asyncrun import asyncio_run
from asyncrun.aio.retry import RetryPolicy
from asyncrun.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler, TokenCountingHandler
from asyncrun.embedders import HerokuEmbedding, IsaacusEmbedding, similarity
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

KEY = "sentinel-0123456789abcdef"
CLAUSES = ["The parties agree.", "The law of California governs.", "Notice of 30 days is due.", "Secrets stay secret."]
VARIABLES = {HerokuEmbedding: ("EMBEDDING_URL", "EMBEDDING_KEY"), IsaacusEmbedding: ("ISAACUS_BASE_URL", "ISAACUS_API_KEY")}


@pytest.fixture
def server(monkeypatch):
    """A server that the environment names, as the two packages have their users do it."""
    with FakeServer(key=KEY).in_thread() as server:
        for address, key in VARIABLES.values():
            monkeypatch.setenv(address, server.base_url)
            monkeypatch.setenv(key, KEY)
        monkeypatch.setenv("EMBEDDING_MODEL_ID", "any")
        yield server


@pytest.mark.parametrize("adapter", VARIABLES)
def test_the_steps_of_the_synchronous_example(server, adapter):
    embedding_model = adapter()
    one = embedding_model.get_text_embedding(CLAUSES[0])
    every = embedding_model.get_text_embedding_batch(CLAUSES)
    assert (len(one), len(every), every[0]) == (8, 4, one)
    assert embedding_model.get_text_embeddings(CLAUSES) == every
    assert -1 <= embedding_model.similarity(every[0], every[1]) <= 1


@pytest.mark.parametrize("adapter", VARIABLES)
def test_the_steps_of_the_asynchronous_example(server, adapter):
    async def main():
        embedding_model = adapter()
        try:
            single = [await embedding_model.aget_text_embedding(text) for text in CLAUSES]
            every = await embedding_model.aget_text_embedding_batch(CLAUSES)
            query = await embedding_model.aget_query_embedding("When does it end?")
            return single, every, [similarity(query, vector) for vector in every]
        finally:
            await embedding_model.aclose()

    single, every, alike = asyncio.run(main())
    assert single == every
    assert all(-1 <= each <= 1 for each in alike)


def test_documents_and_queries_of_isaacus_have_their_task(server):
    documents = IsaacusEmbedding(model="kanon-2-embedder", dimensions=16, task="retrieval/document", timeout=60.0)
    assert len(documents.get_text_embedding("a clause")) == 16
    IsaacusEmbedding().get_query_embedding("why?")
    IsaacusEmbedding(task="retrieval/query", overflow_strategy="drop_end").get_text_embedding("a question")
    tasks = [request.document["task"] for request in server.requests]
    assert tasks == ["retrieval/document", "retrieval/query", "retrieval/query"]
    assert server.requests[0].document["dimensions"] == 16


def test_arguments_go_before_variables(server, monkeypatch):
    for address, key in VARIABLES.values():
        monkeypatch.setenv(address, "http://nowhere.invalid")
        monkeypatch.setenv(key, "another-key-0123456789")
    embedder = HerokuEmbedding("m", KEY, server.base_url, 30.0)
    assert (embedder.model, embedder.api_key, embedder.base_url, embedder.timeout) == ("m", KEY, server.base_url, 30.0)
    embedder.get_text_embedding("x")
    assert server.requests[0].document["model"] == "m"
    assert (HerokuEmbedding.class_name(), IsaacusEmbedding.class_name()) == ("HerokuEmbedding", "IsaacusEmbedding")


@pytest.mark.parametrize("adapter", VARIABLES)
def test_a_key_that_is_missing_is_a_value_error(adapter, monkeypatch):
    for name in (*VARIABLES[adapter], "EMBEDDING_MODEL_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=r"no key|no address"):
        adapter(model="m").get_text_embedding("x")


@pytest.mark.parametrize("fault", [error(401, "no"), error(400, "no", times=None), error(404, "no"), error(500, "no", times=None)])
@pytest.mark.parametrize("adapter", VARIABLES)
def test_what_a_server_refuses_is_a_value_error(adapter, fault):
    with FakeServer(faults=[fault]).in_thread() as server:
        embedder = adapter("m", KEY, server.base_url, retry=RetryPolicy(attempts=2, base=0.001, max_backoff=0.01))
        with pytest.raises(ValueError, match="no"):
            embedder.get_text_embedding("x")


def test_handlers_hear_of_every_request_and_count_its_tokens(server):
    debug, counter = LlamaDebugHandler(print_trace_on_end=False), TokenCountingHandler(tokenizer=str.split)
    manager = CallbackManager([debug, counter])
    IsaacusEmbedding(embed_batch_size=3, callback_manager=manager).get_text_embedding_batch(CLAUSES)
    ends = [end for _, end in debug.get_event_pairs(CBEventType.EMBEDDING)]
    assert sum(end.payload["tokens"] for end in ends) > 0
    assert sorted(len(end.payload[EventPayload.CHUNKS]) for end in ends) == [1, 3]
    assert counter.total_embedding_token_count == sum(len(text.split()) for text in CLAUSES)
    assert KEY not in str([end.payload for end in ends])


def test_an_embedder_works_after_its_end_from_two_loops_and_from_a_thread(server):
    embedder, found = HerokuEmbedding(), []

    async def use_and_close():
        vector = await embedder.aget_text_embedding("x")
        await embedder.aclose()
        await embedder.aclose()
        found.append(vector)
        found.append(await embedder.aget_text_embedding("x"))
        await embedder.aclose()

    asyncio.run(use_and_close())
    asyncio.run(use_and_close())
    other = threading.Thread(target=lambda: found.append(embedder.get_text_embedding("x")))
    other.start()
    other.join()

    async def inside():
        return embedder.get_text_embedding("x")

    found.append(asyncio_run(inside()))
    assert len(found) == 6
    assert all(vector == found[0] for vector in found)
