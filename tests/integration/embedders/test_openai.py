"""The OpenAI dialect: what is in a request, what is read from a reply, where a key goes and where it never does."""

import asyncio
import io
import logging
import traceback

import numpy as np
import pytest

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import RetryPolicy
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.errors import AsyncrunError, AuthError, UsageError
from asyncrun.packing import BatchLimits
from asyncrun.records import InputType
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import are_right, vector_of

KEY = "sentinel-0123456789abcdef"
TEXTS = [f"text {number}" for number in range(10)]


@pytest.mark.asyncio
async def test_texts_go_out_and_their_vectors_come_back_with_tokens_and_cost(embed):
    async with FakeServer() as server:
        answer = await embed(server, price_per_million_tokens=0.5)
    assert answer.positions == tuple(range(10))
    assert are_right(answer, TEXTS)
    assert answer.vectors.dtype == np.float32
    assert (answer.usage.requests, answer.usage.retries, answer.usage.tokens) == (2, 0, 20)
    assert answer.usage.cost == pytest.approx(20 * 0.5 / 1e6)
    assert server.batch_sizes == [2, 8]  # the canary, then the rest
    assert server.requests[0].document == {"model": "m", "input": TEXTS[:2], "encoding_format": "base64"}


@pytest.mark.asyncio
async def test_the_job_files_words_are_in_the_request_and_only_those(embed):
    async with FakeServer() as server:
        await embed(
            server,
            ["x"],
            dimensions=4,
            input_type="passage",
            extra_body={"user": "me"},
            headers={"X-Team": "a"},
            document_prefix="p: ",
            api_key=KEY,
        )
    request = server.requests[0]
    assert request.document == {
        "model": "m", "input": ["p: x"], "encoding_format": "base64", "dimensions": 4, "input_type": "passage", "user": "me"
    }  # fmt: skip
    assert (request.headers["x-team"], request.headers["authorization"]) == ("a", f"Bearer {KEY}")
    assert KEY not in request.path


@pytest.mark.asyncio
async def test_a_key_of_the_environment_goes_to_openai_alone(embed, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with FakeServer() as server:
        await embed(server, ["x"])
    assert "authorization" not in server.requests[0].headers


@pytest.mark.asyncio
async def test_a_server_that_wants_a_key_and_got_none_is_told_so(embed, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with FakeServer(key=KEY) as server:
        with pytest.raises(AuthError) as refused:
            await embed(server, ["x"])
        assert refused.value.hint.startswith("No key was sent")
        with pytest.raises(AuthError) as refused:
            await embed(server, ["x"], api_key="another")
        assert refused.value.hint == AuthError.hint


@pytest.mark.asyncio
async def test_without_a_key_nothing_is_sent_to_openai(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with OpenAIEmbedding(model="text-embedding-3-small") as embedder:
        with pytest.raises(UsageError, match=r"no key for api\.openai\.com"):
            (await embedder.aembed(["x"])).or_raise()


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [401, 400, 404, 500, 200])
async def test_a_key_is_in_no_error_no_log_and_no_trace_back(embed, status):
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        fault = error(status, f"key {KEY} of authorization: Bearer {KEY} refused", times=None)
        async with FakeServer(faults=[fault]) as server:
            with pytest.raises(AsyncrunError) as caught:
                await embed(server, api_key=KEY, retry=RetryPolicy(attempts=1))
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + log.getvalue()
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(logging.WARNING)
    assert "***" in shown
    assert KEY not in shown


@pytest.mark.asyncio
async def test_a_server_without_base64_is_found_out_once(embed):
    async with FakeServer(takes_base64=False) as server:
        answer = await embed(server)
    assert are_right(answer, TEXTS)
    assert ["encoding_format" in request.document for request in server.requests] == [True, False, False]


@pytest.mark.asyncio
async def test_numbers_instead_of_base64_are_taken_as_they_come(embed):
    async with FakeServer() as server:
        answer = await embed(server, extra_body={"encoding_format": "float"})
    assert are_right(answer, TEXTS)


@pytest.mark.asyncio
async def test_what_a_litellm_proxy_says_a_call_has_cost_goes_before_the_price(embed):
    async with FakeServer(faults=[Fault(headers={"x-litellm-response-cost": "0.25"}, times=None)]) as server:
        answer = await embed(server, TEXTS[:2], price_per_million_tokens=1.0)
    assert answer.usage.cost == 0.25


@pytest.mark.asyncio
async def test_concurrency_is_what_the_limits_say(embedder_of):
    options = {"limits": Limits(concurrency=3), "batch": BatchLimits(max_items=2)}
    async with FakeServer(latency=0.1) as server, embedder_of(server, **options) as embedder:
        rows = await embedder.aget_text_embedding_batch(TEXTS * 9)
    assert rows == [vector_of(text).tolist() for text in TEXTS * 9]
    assert 2 <= server.most_in_flight <= 3
    assert embedder.workers == 3


@pytest.mark.asyncio
async def test_cancelling_leaves_nothing_running_and_the_next_call_works(embedder_of):
    async with FakeServer(faults=[Fault(delay=60)]) as server, embedder_of(server) as embedder:
        waiting = [asyncio.create_task(embedder.aembed(TEXTS)) for _ in range(3)]
        while not server.requests:
            await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert len((await embedder.aembed(TEXTS)).positions) == 10


def test_the_synchronous_twins_work_one_after_the_other(embedder_of):
    with FakeServer().in_thread() as server:
        embedder = embedder_of(server)
        assert embedder.get_text_embedding("a") == vector_of("a").tolist()
        assert embedder.get_text_embedding_batch(TEXTS) == [vector_of(text).tolist() for text in TEXTS]


@pytest.mark.parametrize(
    ("options", "space"),
    [
        ({"base_url": "http://Host:81/v1"}, ("m", None, None, {}, "host:81", None)),
        ({"base_url": "https://api.openai.com/v1/", "dimensions": 5, "input_type": "x"}, ("m", 5, "x", {}, None, None)),
        ({"base_url": "http://user:pass@host/v1", "space": "mine", "extra_body": {"a": 1}}, ("m", None, None, {"a": 1}, "host", "mine")),
    ],
)
def test_the_space_is_what_makes_vectors_comparable(options, space):
    found = OpenAIEmbedding(model="m", api_key=KEY, headers={"x": "y"}, price_per_million_tokens=1, **options).space(InputType.QUERY)
    assert (found.model, found.dimensions, found.input_type, found.extra_body, found.host, found.name) == space


@pytest.mark.parametrize("options", [{"base_url": "nonsense"}, {"base_url": "ftp://host/v1"}, {"api_key": "k\u00e9y"}, {"api_key": "a\nb"}])
def test_what_cannot_be_used_is_refused_at_once_and_no_key_is_shown(options):
    with pytest.raises(UsageError) as caught:
        OpenAIEmbedding(model="m", **options)
    assert options.get("api_key", "?") not in str(caught.value)
