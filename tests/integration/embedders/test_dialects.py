"""Every provider is asked in its own words, and its own words are understood: requests and replies as the vendors' clients have them."""

import json
import random

import pytest

from asyncrun import registry
from asyncrun.aio.retry import RetryPolicy
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.errors import AuthError, EndpointError, QuotaError, ThrottledError
from asyncrun.packing import BatchLimits
from asyncrun.records import InputType
from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import are_right, vector_of

ADAPTERS = {name: registry.load("embedders", name) for name in PROVIDERS}
KEY = "sentinel-0123456789abcdef"
OPENAI_REPLY = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 1, "embedding": [3, 4]}, {"object": "embedding", "index": 0, "embedding": [1, 2]}],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
TOTAL_ONLY = OPENAI_REPLY | {"usage": {"total_tokens": 7}}
OPENAI = {"model": "m", "input": ["a", "b"], "encoding_format": "base64"}
BEARER = {"authorization": f"Bearer {KEY}"}
SHAPES = {
    "openai": ({}, "/v1/embeddings", BEARER, OPENAI, OPENAI_REPLY),
    "openai, dimensions": ({"dimensions": 2}, "/v1/embeddings", BEARER, OPENAI | {"dimensions": 2}, OPENAI_REPLY),
    "azure": ({}, "/openai/v1/embeddings", {"api-key": KEY}, OPENAI, OPENAI_REPLY),
    "azure, deployment": (
        {"model": "text-embedding-3-small", "deployment_name": "my deployment", "api_version": "2024-10-21", "params": {"region": "x"}},
        "/openai/deployments/my%20deployment/embeddings?api-version=2024-10-21&region=x",
        {"api-key": KEY},
        OPENAI | {"model": "my deployment"},
        OPENAI_REPLY,
    ),
    "cohere": (
        {"dimensions": 2},
        "/v2/embed",
        BEARER,
        {
            "model": "m",
            "texts": ["a", "b"],
            "input_type": "search_document",
            "embedding_types": ["float"],
            "output_dimension": 2,
            "truncate": "NONE",
        },
        {"id": "x", "embeddings": {"float": [[1, 2], [3, 4]]}, "meta": {"billed_units": {"input_tokens": 7}}},
    ),
    "voyage": (
        {"dimensions": 2},
        "/v1/embeddings",
        BEARER,
        OPENAI | {"input_type": "document", "truncation": False, "output_dimension": 2},
        TOTAL_ONLY,
    ),
    "jina": (
        {"dimensions": 2},
        "/v1/embeddings",
        BEARER,
        {"model": "m", "input": ["a", "b"], "task": "retrieval.passage", "dimensions": 2},
        TOTAL_ONLY,
    ),
    "mistral": ({"dimensions": 2}, "/v1/embeddings", BEARER, OPENAI | {"output_dimension": 2}, OPENAI_REPLY),
    "gemini": (
        {"dimensions": 2, "model": "models/m"},
        "/v1beta/models/m:batchEmbedContents",
        {"x-goog-api-key": KEY},
        {
            "requests": [
                {
                    "model": "models/m",
                    "content": {"parts": [{"text": text}]},
                    "taskType": "RETRIEVAL_DOCUMENT",
                    "outputDimensionality": 2,
                }
                for text in "ab"
            ]
        },
        {"embeddings": [{"values": [1, 2]}, {"values": [3, 4]}], "usageMetadata": {"promptTokenCount": 7}},
    ),
    "isaacus": (
        {"dimensions": 2},
        "/v1/embeddings",
        BEARER,
        {"model": "m", "texts": ["a", "b"], "task": "retrieval/document", "overflow_strategy": None, "dimensions": 2},
        {"embeddings": [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}], "usage": {"input_tokens": 7}},
    ),
    "heroku": ({"dimensions": 2}, "/v1/embeddings", BEARER, OPENAI | {"input_type": "search_document"}, OPENAI_REPLY),
    "ollama": (
        {"dimensions": 2},
        "/api/embed",
        BEARER,
        {"model": "m", "input": ["a", "b"], "truncate": False, "dimensions": 2},
        {"model": "m", "embeddings": [[1, 2], [3, 4]], "total_duration": 1, "prompt_eval_count": 7},
    ),
    "tei": ({"model": ""}, "/embed", BEARER, {"inputs": ["a", "b"], "truncate": False}, [[1, 2], [3, 4]]),
    "huggingface": (
        {"model": "owner/m"},
        "/hf-inference/models/owner/m/pipeline/feature-extraction",
        BEARER,
        {"inputs": ["a", "b"], "truncate": False},
        [[1, 2], [3, 4]],
    ),
    **{
        name: ({"input_type": "passage"}, "/v1/embeddings", BEARER, OPENAI | {"input_type": "passage"}, OPENAI_REPLY)
        for name in ("vllm", "llamacpp", "infinity", "lmstudio", "litellm")
    },
}
BASE = {"gemini": "/v1beta", "cohere": "", "azure": "", "heroku": "", "ollama": "", "tei": "", "huggingface": ""}


def embedder_for(name, server, **options):
    """Make an embedder of a provider for a server, hasty; the address ends as the provider's own does."""
    root = server.base_url.removesuffix("/v1")
    options = {"model": "m", "retry": RetryPolicy(attempts=2, base=0.001, max_backoff=0.01), "rng": random.Random(1)} | options
    return ADAPTERS[name](base_url=root + BASE.get(name, "/v1"), environ={}, **options)


def test_every_provider_of_the_table_has_its_shape_here():
    assert {name.partition(",")[0] for name in SHAPES} == set(PROVIDERS)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", SHAPES)
async def test_a_provider_is_asked_and_understood_in_its_own_words(name):
    options, path, headers, document, reply = SHAPES[name]
    provider = name.partition(",")[0]
    counts = {"headers": {"x-compute-tokens": "7"}} if provider in ("tei", "huggingface") else {}
    async with (
        FakeServer(faults=[Fault(body=json.dumps(reply).encode(), times=None, **counts)]) as server,
        embedder_for(provider, server, api_key=KEY, **options) as embedder,
    ):
        answer = await embedder.aembed(["a", "b"])
    request = server.requests[0]
    assert (request.path, request.document) == (path, document)
    assert headers.items() <= request.headers.items()
    assert answer.vectors.tolist() == [[1, 2], [3, 4]]
    assert answer.usage.tokens == 7
    assert KEY not in request.path


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "field", "word"),
    [
        ("cohere", "input_type", "search_query"),
        ("voyage", "input_type", "query"),
        ("jina", "task", "retrieval.query"),
        ("gemini", "taskType", "RETRIEVAL_QUERY"),
        ("isaacus", "task", "retrieval/query"),
        ("heroku", "input_type", "search_query"),
        ("openai", "input_type", None),
        ("ollama", "input_type", None),
    ],
)
async def test_a_query_is_asked_as_a_query_and_is_in_a_space_of_its_own(name, field, word):
    async with FakeServer() as server, embedder_for(name, server) as embedder:
        await embedder.aget_query_embedding("a")
    document = server.requests[0].document
    assert document.get("requests", [document])[0].get(field) == word
    assert (embedder.space(InputType.QUERY) == embedder.space(InputType.DOCUMENT)) == (word is None)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "path"), [("cohere", "/v2"), ("ollama", "/v1"), ("azure", "/openai/v1"), ("heroku", "/v1"), ("openai", "/v1/embeddings")]
)
async def test_an_address_may_end_in_what_others_write(name, path):
    async with FakeServer() as server:
        root = server.base_url.removesuffix("/v1")
        async with ADAPTERS[name](model="m", base_url=f"{root}{path}", environ={}) as embedder:
            assert len(await embedder.aget_text_embedding("a")) == 8


SWITCHES = ("cohere", "voyage", "jina", "isaacus", "ollama", "tei", "huggingface")


@pytest.mark.asyncio
@pytest.mark.parametrize("name", SWITCHES)
async def test_a_text_that_is_too_long_is_cut_by_the_server_and_counted(name):
    texts = ["a", "long " * 40, "b", "longer " * 40]
    async with FakeServer(max_input_tokens=10) as server, embedder_for(name, server, on_too_long="truncate") as embedder:
        answer = await embedder.aembed(texts)
    assert (answer.positions, answer.truncated, answer.failures) == ((0, 1, 2, 3), frozenset({1, 3}), ())
    assert are_right(answer, ["a", ("long " * 40)[:40], "b", ("longer " * 40)[:40]])
    # Both that were too long go together.
    assert [texts[1], texts[3]] == server.requests[-1].texts


@pytest.mark.asyncio
@pytest.mark.parametrize("name", [*SWITCHES, "openai", "azure", "heroku", "vllm"])
async def test_a_text_that_is_too_long_fails_by_itself_unless_told_otherwise(name):
    async with FakeServer(max_input_tokens=10) as server, embedder_for(name, server) as embedder:
        answer = await embedder.aembed(["a", "long " * 40, "b"])
    assert [(failure.position, failure.reason) for failure in answer.failures] == [(1, "too_long")]
    assert are_right(answer, ["a", "", "b"])


@pytest.mark.asyncio
async def test_a_server_that_forgets_its_own_switch_gets_less_text(monkeypatch):
    """Ollama 0.13.5 to 0.15.6 refused what it was told to cut."""
    refusal = Fault(
        status=400,
        body=b'{"error": "the input length exceeds the context length"}',
        times=None,
        when=lambda request: any(len(text) > 40 for text in request.texts),
    )
    async with FakeServer(faults=[refusal]) as server, embedder_for("ollama", server, on_too_long="truncate") as embedder:
        answer = await embedder.aembed(["x" * 100])
    assert answer.truncated == {0}
    assert answer.vectors[0].tolist() == vector_of("x" * 25).tolist()


@pytest.mark.asyncio
async def test_heroku_is_not_sent_more_characters_than_it_takes():
    texts = ["a", "x" * 2049, "y" * 2048]
    async with FakeServer() as server, embedder_for("heroku", server) as embedder:
        answer = await embedder.aembed(texts)
    assert [(failure.position, failure.reason) for failure in answer.failures] == [(1, "too_long")]
    assert texts[1] not in server.sent_texts
    async with FakeServer() as server, embedder_for("heroku", server, on_too_long="truncate") as embedder:
        assert (await embedder.aembed(texts)).truncated == {1}
    assert max(map(len, server.sent_texts)) <= 2048


GEMINI_KEY = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}
GEMINI_DAY = {"code": 429, "message": "Quota", "details": [{"violations": [{"quotaId": "EmbedContentRequestsPerDayPerProject"}]}]}
ERRORS = {
    "gemini: bad key is 400": ("gemini", 400, {"error": GEMINI_KEY}, AuthError),
    "gemini: wrapped in a list": ("gemini", 400, [{"error": GEMINI_KEY}], AuthError),
    "gemini: per day": ("gemini", 429, {"error": GEMINI_DAY}, QuotaError),
    "gemini: no model": ("gemini", 404, {"error": {"code": 404, "message": "models/m is not found", "status": "NOT_FOUND"}}, EndpointError),
    "cohere: bad key": ("cohere", 401, {"message": "invalid api token"}, AuthError),
    "cohere: 498": ("cohere", 498, {"message": "blocked"}, AuthError),
    "cohere: trial is over": ("cohere", 429, {"message": "Trial key, limited to 1000 API calls / month."}, QuotaError),
    "cohere: no model": ("cohere", 404, {"message": "model 'm' not found, make sure the correct model ID was used"}, EndpointError),
    "isaacus: bad key": ("isaacus", 401, {"type": "x", "title": "Unauthorized", "status": 401, "detail": "bad key"}, AuthError),
    "isaacus: no money": ("isaacus", 402, {"type": "x", "title": "Payment Required", "status": 402, "detail": "pay"}, QuotaError),
    "isaacus: no model": ("isaacus", 404, {"title": "Not Found", "status": 404, "detail": "Unknown model"}, EndpointError),
    "voyage: bad key": ("voyage", 401, {"detail": "Provided API key is invalid."}, AuthError),
    "jina: no money": ("jina", 402, {"detail": "Insufficient account balance"}, QuotaError),
    "mistral: bad key": ("mistral", 401, {"detail": "Unauthorized"}, AuthError),
    "mistral: no model": ("mistral", 400, {"object": "error", "message": "Invalid model: m", "type": "invalid_model"}, EndpointError),
    "ollama: no model": ("ollama", 404, {"error": 'model "m" not found, try pulling it first'}, EndpointError),
    "azure: no deployment": ("azure", 404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment"}}, EndpointError),
    "huggingface: bad key": ("huggingface", 401, {"error": "Invalid username or password."}, AuthError),
    "huggingface: no credit": ("huggingface", 402, {"error": "You have exceeded your monthly included credits"}, QuotaError),
    "huggingface: no model": ("huggingface", 404, "Not Found", EndpointError),
    "tei: told to wait for a day": ("tei", 429, {"error": "Model is overloaded", "error_type": "overloaded"}, ThrottledError),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", ERRORS)
async def test_a_refusal_about_the_endpoint_ends_the_run_with_the_servers_words(case):
    name, status, body, expected = ERRORS[case]
    raw = body if isinstance(body, str) else json.dumps(body)
    headers = {"retry-after": "86400"} if expected is ThrottledError else {}
    async with (
        FakeServer(faults=[Fault(status=status, body=raw.encode(), headers=headers, times=None)]) as server,
        embedder_for(name, server, api_key=KEY) as embedder,
    ):
        with pytest.raises(expected) as caught:
            (await embedder.aembed(["a", "b"])).or_raise()
    assert f"answers {status}: " in str(caught.value)
    assert len(server.requests) == 1


BATCH = {
    "mistral": (400, {"object": "error", "message": "Too many tokens overall, split into more batches.", "code": "3210"}),
    "gemini": (400, {"error": {"message": "at most 3 requests can be in one batch", "status": "INVALID_ARGUMENT"}}),
    "tei": (422, {"error": "batch size 8 > maximum allowed batch size 3", "error_type": "Validation"}),
    "jina": (400, {"detail": "input length is larger than the largest allowed size 3"}),
    "cohere": (400, {"message": "invalid request: total number of texts must be at most 3 - received 8"}),
    "voyage": (400, {"detail": "The batch size limit is 3. Your batch size is 8."}),
    "isaacus": (
        422,
        {"title": "Unprocessable", "status": 422, "detail": "texts: List should have at most 3 items after validation, not 8"},
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", BATCH)
async def test_a_batch_that_is_too_big_is_sent_in_parts_and_the_next_ones_fit(name):
    status, body = BATCH[name]
    fault = Fault(status=status, body=json.dumps(body).encode(), times=None, when=lambda request: len(request.texts) > 3)
    texts = [f"text {number}" for number in range(10)]
    async with FakeServer(faults=[fault]) as server, embedder_for(name, server) as embedder:
        assert are_right(await embedder.aembed(texts), texts)
        before = len(server.requests)
        answer = await embedder.aembed(texts)
    assert are_right(answer, texts)
    assert max(len(request.texts) for request in server.requests[before:]) <= 4
    assert len(answer.positions) == 10


@pytest.mark.asyncio
async def test_a_model_with_a_vector_for_every_token_is_refused():
    tokens = [[[1, 2], [3, 4]], [[1, 2]]]
    async with (
        FakeServer(faults=[Fault(body=json.dumps(tokens).encode(), times=None)]) as server,
        embedder_for("huggingface", server) as embedder,
    ):
        answer = await embedder.aembed(["a", "b"])
    assert "a vector for every token" in answer.failures[0].message


@pytest.mark.asyncio
async def test_texts_that_are_mixed_with_each_other_are_sent_together_or_each_alone():
    texts = [f"text {number}" for number in range(5)]
    mixing = {"extra_body": {"late_chunking": True}}
    async with FakeServer() as server, embedder_for("jina", server, **mixing) as embedder:
        await embedder.aget_text_embedding_batch(texts)
        assert server.batch_sizes == [5]
        # A job sends what `batch` says: alone a text has the same vector in every run.
        assert embedder.batch.max_items == 1


@pytest.mark.asyncio
async def test_a_mixed_batch_is_never_sent_in_parts():
    fault = Fault(status=400, body=b'{"detail": "too many tokens"}', times=None)
    async with FakeServer(faults=[fault]) as server, embedder_for("jina", server, extra_body={"late_chunking": True}) as embedder:
        answer = await embedder.aembed(["a", "b", "c"])
    assert [failure.reason for failure in answer.failures] == ["too_long"] * 3
    assert server.batch_sizes == [3]


@pytest.mark.asyncio
async def test_requests_grow_when_the_server_counts_fewer_tokens_than_bytes():
    texts = [f"{number:03}" + "x" * 997 for number in range(100)]
    limits = BatchLimits(max_items=100, max_tokens=10_000)
    async with FakeServer() as server, embedder_for("openai", server, batch=limits) as embedder:
        await embedder.aget_text_embedding_batch(texts)
        before = len(server.requests)
        await embedder.aget_text_embedding_batch(texts)
    # At first a byte is a token; then four bytes are, of which a margin is kept.
    assert max(server.batch_sizes[:before]) == 10
    assert 20 <= max(server.batch_sizes[before:]) <= 40
