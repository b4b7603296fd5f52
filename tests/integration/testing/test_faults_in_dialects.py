"""Every named fault does what its name says in every dialect of the fake server."""

from __future__ import annotations

import json
import math
import random
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asyncrun import registry
from asyncrun.aio.retry import RetryPolicy
from asyncrun.errors import AsyncrunError, AuthError, EndpointError, OutageError, QuotaError, ThrottledError
from asyncrun.testing.faults import Fault
from asyncrun.testing.named import FAULTS, fault
from asyncrun.testing.quota import Quota
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of

TEXTS = ["one", "two", "three"]
RIGHT = [vector_of(text).tolist() for text in TEXTS]

# By provider: where it is asked, what is asked, how the vectors and the words of a refusal are found.
Find = Callable[[Any], Any]
DIALECTS: dict[str, tuple[str, Any, Find, Find]] = {
    "openai": (
        "/v1/embeddings",
        {"model": "m", "input": TEXTS},
        lambda reply: [row["embedding"] for row in reply["data"]],
        lambda reply: reply["error"]["message"],
    ),
    "isaacus": (
        "/v1/embeddings",
        {"model": "m", "texts": TEXTS},
        lambda reply: [row["embedding"] for row in reply["embeddings"]],
        lambda reply: reply["detail"],
    ),
    "cohere": (
        "/v2/embed",
        {"model": "m", "texts": TEXTS, "embedding_types": ["float"]},
        lambda reply: reply["embeddings"]["float"],
        lambda reply: reply["message"],
    ),
    "ollama": ("/api/embed", {"model": "m", "input": TEXTS}, lambda reply: reply["embeddings"], lambda reply: reply["error"]),
    "gemini": (
        "/v1beta/models/m:batchEmbedContents",
        {"requests": [{"content": {"parts": [{"text": text}]}} for text in TEXTS]},
        lambda reply: [row["values"] for row in reply["embeddings"]],
        lambda reply: reply["error"]["message"],
    ),
    "tei": ("/embed", {"inputs": TEXTS}, lambda reply: reply, lambda reply: reply["error"]),
    "huggingface": ("/models/m/pipeline/feature-extraction", {"inputs": TEXTS}, lambda reply: reply, lambda reply: reply["error"]),
}
ADAPTERS = {name: registry.load("embedders", name) for name in DIALECTS}
WITH_INDEXES = {"openai": "data", "isaacus": "embeddings"}
WITH_MODEL = {"openai", "ollama"}


def with_second(change: Callable[[list[Any]], Any]) -> list[Any]:
    return [RIGHT[0], change(RIGHT[1]), RIGHT[2]]


VECTORS: dict[str, list[Any]] = {
    "no_rows": [],
    "too_few": RIGHT[:2],
    "too_many": [*RIGHT, RIGHT[0]],
    "fused": [[sum(numbers) / 3 for numbers in zip(*RIGHT, strict=True)]],
    "shuffled": RIGHT[::-1],
    "null_vectors": [None] * 3,
    "null_vector": with_second(lambda vector: None),
    "null_number": with_second(lambda vector: [None, *vector[1:]]),
    "infinity": with_second(lambda vector: [-math.inf, *vector[1:]]),
    "too_large_number": with_second(lambda vector: [math.inf, *vector[1:]]),
    "strings": with_second(lambda vector: [str(number) for number in vector]),
    "zeros": with_second(lambda vector: [0.0] * 8),
    "short_vector": with_second(lambda vector: vector[:-1]),
    "other_dimensions": [[*vector, 0.5] for vector in RIGHT],
}
INDEXES: dict[str, list[Any]] = {
    "shuffled": [2, 1, 0],
    "same_index": [0, 0, 0],
    "index_out_of_range": [0, 1, 3],
    "no_index": [None, None, None],
    "no_index_0": [None, 1, 2],
}
REFUSALS: dict[str, tuple[int, str, type[AsyncrunError]]] = {
    "throttled": (429, "Rate limit reached", ThrottledError),
    "quota": (429, "You exceeded your current quota", QuotaError),
    "wait_a_day": (429, "Rate limit reached", ThrottledError),
    "bad_key": (401, "Incorrect API key provided", AuthError),
    "unknown_model": (404, "The model does not exist", EndpointError),
    "crash": (500, "The server had an error while processing your request", OutageError),
    "error_in_200": (200, "the upstream failed", AsyncrunError),
}
WRITTEN = {"truncated", "trailing_garbage", "byte_order_mark"}
OF_ANY_SERVER = {
    *("bad_gateway", "unavailable", "gateway_timeout", "too_large", "redirect", "html", "gzip_bomb", "endless", "stacked_encodings"),
    *("silent", "slow", "reset", "cut", "chunked_cut", "hang_up"),
}
"""What comes from the network or a page before the server, which know no dialect; other tests are about these."""
OF_STREAMS = {"stream_cut", "stream_error", "stream_unfinished", "stream_slow"}
"""What happens to streamed chat completions alone: `tests/integration/llms/test_streaming.py`."""


def test_all_faults_are_looked_at() -> None:
    assert {*VECTORS, *INDEXES, *REFUSALS, *WRITTEN, *OF_ANY_SERVER, *OF_STREAMS, "nan", "other_model"} == set(FAULTS)


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer().in_thread() as running:
        yield running


def ask(server: FakeServer, dialect: str, *faults: Fault) -> tuple[int, bytes]:
    """Return the first reply since these faults."""
    server.faults.extend(faults)
    path, document, _, _ = DIALECTS[dialect]
    address = server.base_url.removesuffix("/v1") + path
    try:
        with urllib.request.urlopen(urllib.request.Request(address, json.dumps(document).encode()), timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def vectors_in(dialect: str, body: bytes) -> Any:
    return DIALECTS[dialect][2](json.loads(body))


def indexes_in(dialect: str, body: bytes) -> list[Any]:
    return [row.get("index") for row in json.loads(body)[WITH_INDEXES[dialect]]]


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_are_spoilt(server: FakeServer, dialect: str, name: str) -> None:
    assert vectors_in(dialect, ask(server, dialect, fault(name))[1]) == VECTORS[name]
    assert vectors_in(dialect, ask(server, dialect)[1]) == RIGHT


def test_a_number_is_none(server: FakeServer, dialect: str) -> None:
    vectors = vectors_in(dialect, ask(server, dialect, fault("nan"))[1])
    assert math.isnan(vectors[1][0])
    assert (vectors[0], vectors[1][1:], vectors[2]) == (RIGHT[0], RIGHT[1][1:], RIGHT[2])


@pytest.mark.parametrize("name", INDEXES)
def test_indexes_are_spoilt_where_there_are_some(server: FakeServer, dialect: str, name: str) -> None:
    body = ask(server, dialect, fault(name))[1]
    if dialect in WITH_INDEXES:
        assert indexes_in(dialect, body) == INDEXES[name]
    elif name != "shuffled":
        assert body == ask(server, dialect)[1]


def test_the_model_is_another_where_it_is_named(server: FakeServer, dialect: str) -> None:
    body = ask(server, dialect, fault("other_model"))[1]
    assert vectors_in(dialect, body) == RIGHT
    assert (b"another-model" in body) == (dialect in WITH_MODEL)


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_the_json_is_spoilt(server: FakeServer, dialect: str, name: str) -> None:
    whole = json.dumps(json.loads(ask(server, dialect)[1])).encode()
    expected = {
        "truncated": whole[: len(whole) // 2],
        "trailing_garbage": whole + b"\n}]",
        "byte_order_mark": b"\xef\xbb\xbf" + whole,
    }
    assert ask(server, dialect, fault(name))[1] == expected[name]


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_has_the_shape_of_the_dialect(server: FakeServer, dialect: str, name: str) -> None:
    status, body = ask(server, dialect, fault(name))
    assert status == REFUSALS[name][0]
    assert DIALECTS[dialect][3](json.loads(body)).startswith(REFUSALS[name][1])


@pytest.mark.asyncio
@pytest.mark.parametrize("name", [name for name in REFUSALS if name != "error_in_200"])
async def test_a_refusal_is_understood_by_those_who_speak_the_dialect(dialect: str, name: str) -> None:
    retry = RetryPolicy(attempts=1, base=0.001, max_backoff=0.01, max_wait=1.0)
    async with FakeServer(faults=[fault(name, times=None)]) as server:
        options = {"model": "m", "api_key": "k", "base_url": server.base_url, "retry": retry, "rng": random.Random(1)}
        async with ADAPTERS[dialect](**options) as embedder:
            with pytest.raises(REFUSALS[name][2]):
                (await embedder.aembed(TEXTS)).or_raise()


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"key": "right"}, 401, "Incorrect API key provided"),
        ({"quota": Quota(tokens=1)}, 429, "Request too large"),
        ({"quota": Quota(requests=0)}, 429, "Request too large"),
        ({"max_in_flight": 0}, 429, "Model is overloaded"),
        ({"max_items": 2}, 400, "Invalid 'input': array too long"),
    ],
    ids=str,
)
def test_what_the_server_refuses_by_itself_is_told_in_the_dialect(dialect: str, options: dict[str, Any], status: int, words: str) -> None:
    with FakeServer(**options).in_thread() as server:
        found, body = ask(server, dialect)
    assert found == status
    assert DIALECTS[dialect][3](json.loads(body)).startswith(words)


def test_a_body_of_ones_own_is_sent_as_it_is(server: FakeServer, dialect: str) -> None:
    assert ask(server, dialect, fault("crash", body=b"mine")) == (500, b"mine")
