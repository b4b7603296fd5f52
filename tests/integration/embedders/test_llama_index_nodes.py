"""With LlamaIndex itself: its nodes, manager and rate limiter in the hands of our embedders, and its messages in those of a chat model."""

import pytest

from asyncrun.embedders import OpenAIEmbedding
from asyncrun.llms import OpenAI
from asyncrun.testing.server import FakeServer

pytestmark = pytest.mark.needs("llama-index")


@pytest.fixture
def server():
    with FakeServer().in_thread() as server:
        yield server


def test_nodes_of_llamaindex_get_vectors_of_what_is_to_be_embedded_of_them(server):
    from llama_index.core.schema import TextNode

    nodes = [TextNode(text="rain", metadata={"page": 3, "secret": "no"}, excluded_embed_metadata_keys=["secret"]), TextNode(text="sun")]
    assert OpenAIEmbedding("m", base_url=server.base_url)(nodes) is nodes
    assert [len(node.embedding) for node in nodes] == [8, 8]
    assert server.sent_texts == ["page: 3\n\nrain", "sun"]


def test_a_manager_of_llamaindex_hears_of_requests_and_answers(server):
    from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler, TokenCountingHandler

    debug, counter = LlamaDebugHandler(print_trace_on_end=False), TokenCountingHandler(tokenizer=str.split)
    manager = CallbackManager([debug, counter])
    OpenAIEmbedding("m", base_url=server.base_url, embed_batch_size=1, callback_manager=manager).get_text_embedding_batch(["a b", "c"])
    OpenAI("m", api_base=server.base_url, callback_manager=manager).complete("Why?")
    assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == 2
    assert len(debug.get_event_pairs(CBEventType.LLM)) == 1
    assert counter.total_embedding_token_count == 3
    assert counter.total_llm_token_count == 6


def test_the_numbers_of_a_rate_limiter_are_limits(server):
    limiters = pytest.importorskip("llama_index.core.rate_limiter")
    limiter = limiters.TokenBucketRateLimiter(requests_per_minute=30)
    limits = OpenAIEmbedding("m", base_url=server.base_url, rate_limiter=limiter).rate_limits
    assert (limits.requests_per_minute, limits.tokens_per_minute) == (30, None)


def test_messages_of_llamaindex_are_asked_as_they_are(server):
    from llama_index.core.llms import ChatMessage, MessageRole

    messages = [ChatMessage(role=MessageRole.SYSTEM, content="Be brief."), ChatMessage(role="user", content="Why?")]
    OpenAI("m", api_base=server.base_url).chat(messages)
    assert server.requests[0].document["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
