"""Embedders take what LlamaIndex's classes of the same name take, by position where theirs do, or say what we have instead."""

import pytest

from asyncrun.callbacks import CallbackManager, LlamaDebugHandler
from asyncrun.embedders import (
    AzureOpenAIEmbedding,
    CohereEmbedding,
    GeminiEmbedding,
    GoogleGenAIEmbedding,
    HerokuEmbedding,
    HuggingFaceInferenceAPIEmbedding,
    IsaacusEmbedding,
    JinaEmbedding,
    LiteLLMEmbedding,
    MistralAIEmbedding,
    OllamaEmbedding,
    OpenAIEmbedding,
    TextEmbeddingsInference,
    VoyageEmbedding,
)
from asyncrun.errors import ArgumentError
from asyncrun.records import InputType

KEY = "sentinel0123456789abcdef0123456789abcdef"
BASE = {"embed_batch_size": 7, "callback_manager": CallbackManager(), "num_workers": 3}
RATES = type("Limiter", (), {"requests_per_minute": 30.0, "tokens_per_minute": 9000.0})()
THEIRS = {
    OpenAIEmbedding: {
        **{"mode": "text_search", "model": "m", "dimensions": 8, "additional_kwargs": {"user": "u"}, "api_key": KEY, "max_retries": 10},
        **{"api_base": "https://x/v1", "api_version": None, "timeout": 60.0, "reuse_client": True, "default_headers": {"a": "b"}},
        **{"http_client": None, "async_http_client": None},
    },
    AzureOpenAIEmbedding: {
        **{"model": "m", "azure_endpoint": "https://x", "azure_deployment": "d", "api_version": "1", "use_azure_ad": False},
        **{"azure_ad_token_provider": None, "deployment_name": "d", "api_key": KEY, "max_retries": 10},
    },
    HerokuEmbedding: {"model": "m", "api_key": KEY, "base_url": "https://x", "timeout": 60.0},
    IsaacusEmbedding: {"model": "m", "api_key": KEY, "dimensions": 8, "task": "retrieval/query", "overflow_strategy": "drop_end"},
    CohereEmbedding: {
        **{"cohere_api_key": KEY, "model_name": "m", "truncate": "END", "input_type": "classification", "embedding_type": "float"},
        **{"base_url": "https://x", "timeout": None, "httpx_client": None, "httpx_async_client": None, "max_retries": 10},
    },
    VoyageEmbedding: {"model_name": "m", "voyage_api_key": KEY, "truncation": True, "output_dtype": "float", "output_dimension": 8},
    JinaEmbedding: {
        **{"model": "m", "api_key": KEY, "encoding_queries": "float", "encoding_documents": "float", "task": "separation"},
        **{"dimensions": 8, "late_chunking": True},
    },
    MistralAIEmbedding: {"model_name": "m", "api_key": KEY},
    GeminiEmbedding: {
        **{"model_name": "m", "api_key": KEY, "embedding_config": {"output_dimensionality": 8}, "vertexai_config": None},
        **{"http_options": None, "debug_config": None, "retries": 3, "timeout": 60, "retry_min_seconds": 1, "retry_max_seconds": 60},
        **{"retry_exponential_base": 2},
    },
    HuggingFaceInferenceAPIEmbedding: {
        **{"model_name": "m", "query_instruction": "q:", "text_instruction": "d:", "token": KEY, "timeout": 5.0},
        **{"headers": {"a": "b"}, "pooling": None, "cookies": None, "task": None},
    },
    OllamaEmbedding: {
        **{"model_name": "m", "base_url": "http://localhost:11434", "ollama_additional_kwargs": {"num_ctx": 8}, "client_kwargs": None},
        **{"query_instruction": "q:", "text_instruction": "d:", "keep_alive": "5m"},
    },
    TextEmbeddingsInference: {
        **{"model_name": "m", "base_url": "http://127.0.0.1:8080", "text_instruction": "d:", "query_instruction": "q:"},
        **{"timeout": 60.0, "truncate_text": True, "auth_token": KEY, "endpoint": "/embed"},
    },
    LiteLLMEmbedding: {"model_name": "m", "api_key": KEY, "api_base": "http://x", "dimensions": 8, "timeout": 60},
}


@pytest.mark.parametrize("adapter", THEIRS, ids=lambda adapter: adapter.__name__)
def test_a_class_takes_what_llamaindex_gives_it(adapter):
    embedder = adapter(**THEIRS[adapter], **BASE, rate_limiter=RATES, embeddings_cache=None, environ={})
    assert (embedder.model_name, embedder.model) == (("d", "d") if adapter is AzureOpenAIEmbedding else ("m", "m"))
    assert (embedder.embed_batch_size, embedder.num_workers) == (1 if adapter is JinaEmbedding else 7, 3)
    assert embedder.callback_manager is BASE["callback_manager"]
    limits = embedder.rate_limits
    assert (limits.requests_per_minute, limits.tokens_per_minute, limits.concurrency) == (30, 9000, 3)
    if "max_retries" in THEIRS[adapter]:
        assert embedder.endpoint.policy.attempts == 11


def test_what_is_renamed_and_converted_means_the_same_here():
    openai = OpenAIEmbedding(**THEIRS[OpenAIEmbedding], environ={})
    space = openai.space(InputType.DOCUMENT)
    assert (space.extra_body, space.dimensions) == ({"user": "u"}, 8)
    assert openai.endpoint.headers == {"authorization": f"Bearer {KEY}", "a": "b"}
    ollama = OllamaEmbedding(**THEIRS[OllamaEmbedding], environ={})
    assert ollama.space(InputType.QUERY).extra_body == {"options": {"num_ctx": 8}, "keep_alive": "5m"}
    assert [ollama.as_sent("x", kind) for kind in InputType] == ["d: x", "q: x"]
    gemini = GoogleGenAIEmbedding(**THEIRS[GeminiEmbedding], environ={})
    policy = gemini.endpoint.policy
    assert (policy.attempts, policy.max_backoff, policy.stop_if_unreachable) == (4, 60, True)
    assert gemini.space(InputType.DOCUMENT).dimensions == 8
    assert gemini.class_name() == "GeminiEmbedding"


@pytest.mark.parametrize(
    ("adapter", "argument", "policy"),
    [
        (IsaacusEmbedding, {"overflow_strategy": "drop_end"}, "truncate"),
        (IsaacusEmbedding, {"overflow_strategy": None}, "fail"),
        (CohereEmbedding, {"truncate": "END"}, "truncate"),
        (CohereEmbedding, {"truncate": "NONE"}, "fail"),
        (VoyageEmbedding, {"truncation": True}, "truncate"),
        (TextEmbeddingsInference, {"truncate_text": False}, "fail"),
        (TextEmbeddingsInference, {"truncate_text": True, "on_too_long": "split"}, "split"),
    ],
)
def test_what_becomes_of_long_texts_is_on_too_long_here(adapter, argument, policy):
    assert adapter("m", base_url="http://x", environ={}, **argument).on_too_long == policy


def test_a_task_is_the_word_for_documents_and_queries():
    words = {task: [IsaacusEmbedding(task=task, environ={}).space(kind).input_type for kind in InputType] for task in THEIR_TASKS}
    assert words == {
        None: ["retrieval/document", "retrieval/query"],
        "retrieval/document": ["retrieval/document", "retrieval/query"],
        "retrieval/query": ["retrieval/query", "retrieval/query"],
    }
    assert [JinaEmbedding("m", task="separation", environ={}).space(kind).input_type for kind in InputType] == ["separation"] * 2


THEIR_TASKS = (None, "retrieval/document", "retrieval/query")


def test_an_empty_word_is_not_sent():
    embedder = HerokuEmbedding("m", api_key=KEY, input_type="", environ={})
    assert embedder.space(InputType.DOCUMENT) == embedder.space(InputType.QUERY)
    assert embedder.space(InputType.DOCUMENT).input_type is None


@pytest.mark.parametrize(
    ("adapter", "positions", "has"),
    [
        (HerokuEmbedding, ("m", KEY, "https://x", 5.0, 4), {"timeout": 5.0, "embed_batch_size": 4}),
        (IsaacusEmbedding, ("m", KEY, "https://x", 8, None, "drop_end", 5.0, 4), {"timeout": 5.0, "embed_batch_size": 4}),
        (JinaEmbedding, ("m", 4, KEY), {"embed_batch_size": 4}),
        (VoyageEmbedding, ("m", KEY, 4, True), {"embed_batch_size": 4, "on_too_long": "truncate"}),
        (MistralAIEmbedding, ("m", KEY, 4), {"embed_batch_size": 4}),
        (GeminiEmbedding, ("m", KEY, None, None, None, None, 4), {"embed_batch_size": 4}),
        (TextEmbeddingsInference, ("m", "http://x", "d:", "q:", 4, 5.0), {"timeout": 5.0, "embed_batch_size": 4}),
    ],
)
def test_what_follows_the_model_by_position_is_what_it_is_there(adapter, positions, has):
    embedder = adapter(*positions, environ={})
    assert embedder.model_name == "m"
    assert {name: getattr(embedder, name) for name in has} == has
    assert embedder.api_key == (KEY if KEY in positions else "")


@pytest.mark.parametrize(
    ("adapter", "positions"),
    [
        (CohereEmbedding, (KEY,)),
        (CohereEmbedding, (KEY, "m")),
        (OpenAIEmbedding, ("text_search",)),
        (AzureOpenAIEmbedding, ("similarity", "m")),
    ],
)
def test_what_stands_first_there_is_never_taken_for_a_model(adapter, positions):
    with pytest.raises(ArgumentError, match=r"by position .* takes the model alone") as caught:
        adapter(*positions, base_url="https://x", environ={})
    assert KEY not in str(caught.value)


def test_an_argument_that_is_given_twice_or_that_nobody_knows_is_refused():
    with pytest.raises(TypeError, match="two values for the argument 'api_key'"):
        HerokuEmbedding("m", KEY, api_key=KEY, environ={})
    with pytest.raises(TypeError, match="at most 6 arguments"):
        HerokuEmbedding("m", *range(6), environ={})
    with pytest.raises(TypeError, match="unknown argument 'task'"):
        OpenAIEmbedding("m", task="x", environ={})


@pytest.mark.parametrize(
    ("adapter", "argument", "words"),
    [
        (OpenAIEmbedding, {"embeddings_cache": object()}, "asyncrun.embed"),
        (OpenAIEmbedding, {"http_client": object()}, "timeout, headers and http2"),
        (OpenAIEmbedding, {"rate_limiter": object()}, "limits=Limits"),
        (AzureOpenAIEmbedding, {"azure_ad_token_provider": str}, "Authorization"),
        (AzureOpenAIEmbedding, {"use_azure_ad": True}, "Authorization"),
        (GeminiEmbedding, {"vertexai_config": {"project": "p"}}, "Gemini API"),
        (GeminiEmbedding, {"embedding_config": {"title": "t"}}, "extra_body"),
        (CohereEmbedding, {"truncate": "START"}, "cut at its end"),
        (CohereEmbedding, {"embedding_type": "int8"}, "32 bits"),
        (TextEmbeddingsInference, {"auth_token": str}, "a key is a text"),
        (TextEmbeddingsInference, {"endpoint": "/v2"}, "base_url"),
        (HuggingFaceInferenceAPIEmbedding, {"pooling": "cls"}, "every token"),
        (HuggingFaceInferenceAPIEmbedding, {"cookies": {"a": "b"}}, "Cookie"),
    ],
)
def test_what_has_no_word_here_is_refused_with_what_there_is(adapter, argument, words):
    with pytest.raises(ArgumentError, match=words):
        adapter("m", base_url="https://x", environ={}, **argument)


def test_a_key_can_be_used_and_shows_itself_to_nobody():
    embedder = OpenAIEmbedding("m", api_key=KEY, base_url="https://me:secret@host/v1", environ={})
    assert embedder.api_key == KEY
    assert KEY not in repr(embedder.api_key)
    assert KEY not in repr(vars(embedder))
    assert (embedder.base_url, embedder.timeout) == ("https://host/v1", 60.0)
    assert repr(OpenAIEmbedding("m", base_url="http://x", environ={}).api_key) == "Key('')"


def test_handlers_of_the_given_manager_are_those_of_the_embedder():
    debug = LlamaDebugHandler(print_trace_on_end=False)
    assert HerokuEmbedding("m", api_key=KEY, callback_manager=CallbackManager([debug]), environ={}).callback_manager.handlers == [debug]
