"""LlamaIndex's methods of an embedder: what they tell of each request, whom, and what they make of nodes and of several queries."""

import asyncio
import threading
from dataclasses import dataclass

import numpy as np
import pytest

from asyncrun.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler, TokenCountingHandler
from asyncrun.embedders import BaseEmbedding, mean_agg
from asyncrun.errors import ItemError
from asyncrun.packing import BatchLimits
from asyncrun.records import Embedded, EmbedFailure, InputType, Space
from asyncrun.usage import Usage


class Lengths(BaseEmbedding):
    """The vector of a text is its length and 1, of a query the length and -1; every character is a token."""

    provider = "lengths"

    def __init__(self, **options):
        super().__init__(model="rule", batch=BatchLimits(max_items=2), workers=2, **options)

    def space(self, input_type):
        return Space("lengths", "rule")

    async def _embed(self, texts, input_type):
        if "!" in texts:
            return Embedded(np.empty((0, 2), np.float32), (), (EmbedFailure(texts.index("!"), "refused", "no!"),))
        sign = 1 if input_type is InputType.DOCUMENT else -1
        vectors = np.array([[len(text), sign] for text in texts], np.float32)
        return Embedded(vectors, tuple(range(len(texts))), usage=Usage(1, tokens=sum(map(len, texts))))


@pytest.fixture
def debug():
    return LlamaDebugHandler(print_trace_on_end=False)


def told(debug):
    return debug.get_event_pairs(CBEventType.EMBEDDING)


@pytest.mark.asyncio
async def test_a_request_tells_who_was_asked_what_and_what_came_back(debug):
    embedder = Lengths(callback_manager=CallbackManager([debug]))
    await embedder.aget_text_embedding("four")
    await embedder.aget_query_embedding("why")
    (start, end), (_, query_end) = told(debug)
    assert start.payload == {
        EventPayload.SERIALIZED: {"class_name": "Lengths", "model_name": "rule", "embed_batch_size": 2},
        EventPayload.MODEL_NAME: "rule",
    }
    assert end.payload == {EventPayload.CHUNKS: ["four"], EventPayload.EMBEDDINGS: [[4, 1]], "tokens": 4}
    assert (query_end.payload[EventPayload.CHUNKS], query_end.payload[EventPayload.EMBEDDINGS]) == (["why"], [[3, -1]])


@pytest.mark.asyncio
async def test_a_batch_is_an_event_a_request_below_the_one_that_encloses_the_call(debug):
    manager = CallbackManager([debug])
    with manager.as_trace("all"), manager.event(CBEventType.QUERY) as query:
        rows = await Lengths().aget_text_embedding_batch(["a", "bb", "ccc"])
    assert rows == [[1, 1], [2, 1], [3, 1]]
    assert [end.payload[EventPayload.CHUNKS] for _, end in told(debug)] == [["a", "bb"], ["ccc"]]
    jobs = manager.trace_map[query.event_id]
    assert {start.id_ for start, _ in told(debug)} == {child for job in jobs for child in manager.trace_map[job]}


def test_the_synchronous_twins_tell_the_same(debug):
    embedder = Lengths()
    embedder.callback_manager.add_handler(debug)
    embedder.get_text_embedding("a")
    embedder.get_query_embedding("b")
    embedder.get_text_embeddings(["c", "d"])
    embedder.get_text_embedding_batch(["e", "f", "g"])
    chunks = [end.payload[EventPayload.CHUNKS] for _, end in told(debug)]
    assert chunks == [["a"], ["b"], ["c", "d"], ["e", "f"], ["g"]]


@pytest.mark.asyncio
async def test_the_embedders_own_manager_goes_before_the_enclosing_one(debug):
    other = LlamaDebugHandler(print_trace_on_end=False)
    with CallbackManager([other]).event(CBEventType.QUERY):
        await Lengths(callback_manager=CallbackManager([debug])).aget_text_embedding_batch(["a", "b", "c"])
    assert (len(told(debug)), len(told(other))) == (2, 0)


@pytest.mark.asyncio
async def test_a_text_without_a_vector_ends_its_event_with_the_error(debug):
    with pytest.raises(ItemError, match="no!"):
        await Lengths(callback_manager=CallbackManager([debug])).aget_text_embeddings(["a", "!"])
    [(_, end)] = told(debug)
    assert isinstance(end.payload[EventPayload.EXCEPTION], ItemError)


@pytest.mark.asyncio
async def test_what_jobs_call_tells_nothing_by_itself(debug):
    await Lengths(callback_manager=CallbackManager([debug])).aembed(["a"])
    assert told(debug) == []


def test_a_token_counter_counts_what_is_embedded():
    counter = TokenCountingHandler(tokenizer=str.split)
    Lengths(callback_manager=CallbackManager([counter])).get_text_embedding_batch(["one two", "three", "four five six"])
    assert counter.total_embedding_token_count == 6


def test_several_queries_have_the_mean_or_what_a_function_makes_of_them():
    embedder = Lengths()
    assert embedder.get_agg_embedding_from_queries(["a", "bbb"]) == [2, -1]
    assert embedder.get_agg_embedding_from_queries(["a", "bbb"], agg_fn=lambda rows: rows[-1]) == [3, -1]
    assert asyncio.run(embedder.aget_agg_embedding_from_queries(["a", "bb"])) == [1.5, -1]
    with pytest.raises(ValueError, match="no embeddings"):
        mean_agg([])


@dataclass
class Node:
    text: str
    embedding: list[float] | None = None

    def get_content(self, metadata_mode):
        return f"{metadata_mode}: {self.text}"


def test_nodes_get_the_vectors_of_what_they_hold():
    nodes = [Node("a"), Node("bb"), Node("ccc")]
    embedder = Lengths()
    assert embedder(nodes) is nodes
    assert [node.embedding for node in nodes] == [[8, 1], [9, 1], [10, 1]]
    assert asyncio.run(embedder.acall([Node("x")]))[0].embedding == [8, 1]


def test_an_embedder_has_the_attributes_that_llamaindex_has():
    embedder = Lengths()
    assert (embedder.class_name(), embedder.model_name, embedder.embed_batch_size, embedder.num_workers) == ("Lengths", "rule", 2, 2)
    embedder.embed_batch_size, embedder.num_workers = 5, 1
    assert (embedder.batch, embedder.workers) == (BatchLimits(max_items=5), 1)


def test_threads_use_one_embedder_at_once():
    embedder, found = Lengths(), {}

    def use(number):
        found[number] = embedder.get_text_embedding("x" * number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [number, 1] for number in range(1, 5)}
