"""The OpenAI dialect against a server that does wrong what it is told to: no wrong row, no needless call, no key in any word."""

import asyncio
import io
import json
import logging
import math
import random
import traceback

import numpy as np
import pytest

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import RetryPolicy
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.embedders.interface import BatchLimits
from asyncrun.errors import AsyncrunError, AuthError, EndpointError, ItemError, OutageError, QuotaError, ThrottledError, UsageError
from asyncrun.records import InputType
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of

KEY = "sentinel-0123456789abcdef"
TEXTS = [f"text {number}" for number in range(10)]
QUICK = RetryPolicy(base=0.001, max_backoff=0.01)


def embedder_of(server, **options):
    options.setdefault("retry", QUICK)
    return OpenAIEmbedding(model="m", base_url=server.base_url, rng=random.Random(1), **options)


async def embed(server, texts=TEXTS, **options):
    async with embedder_of(server, **options) as embedder:
        return await embedder.aembed(texts)


def are_right(answer, texts):
    """Say whether every row is the vector of its own text."""
    return all((vector == vector_of(texts[place])).all() for place, vector in zip(answer.positions, answer.vectors, strict=True))


def reasons(answer):
    return {failure.position: failure.reason for failure in answer.failures}


def sizes(server):
    return [len(request.texts) for request in server.requests]


@pytest.mark.asyncio
async def test_texts_go_out_and_their_vectors_come_back_with_tokens_and_cost():
    async with FakeServer() as server:
        answer = await embed(server, price_per_million_tokens=0.5)
    assert answer.positions == tuple(range(10))
    assert are_right(answer, TEXTS)
    assert answer.vectors.dtype == np.float32
    assert (answer.usage.requests, answer.usage.retries, answer.usage.tokens) == (2, 0, 20)
    assert answer.usage.cost == pytest.approx(20 * 0.5 / 1e6)
    assert sizes(server) == [2, 8]  # the canary, then the rest
    assert server.requests[0].document == {"model": "m", "input": TEXTS[:2], "encoding_format": "base64"}


@pytest.mark.asyncio
async def test_the_job_files_words_are_in_the_request_and_only_those():
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
async def test_a_key_of_the_environment_goes_to_openai_alone(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with FakeServer() as server:
        await embed(server, ["x"])
    assert "authorization" not in server.requests[0].headers


@pytest.mark.asyncio
async def test_without_a_key_nothing_is_sent_to_openai(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with OpenAIEmbedding(model="text-embedding-3-small") as embedder:
        with pytest.raises(UsageError, match=r"no key for api\.openai\.com"):
            await embedder.aembed(["x"])


@pytest.mark.asyncio
async def test_a_bad_key_costs_one_call_whoever_waits():
    async with FakeServer(key="another") as server, embedder_of(server, api_key=KEY) as embedder:
        answers = await asyncio.gather(*(embedder.aembed(TEXTS) for _ in range(8)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {AuthError}
    assert sizes(server) == [2]


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [401, 400, 404, 500, 200])
async def test_37_a_key_is_in_no_error_no_log_and_no_trace_back(status):
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
async def test_an_unreachable_endpoint_is_told_after_three_tries():
    async with FakeServer() as server:
        pass
    async with embedder_of(server) as embedder:
        with pytest.raises(OutageError, match=r"cannot reach 127\.0\.0\.1:\d+: the connection is refused"):
            await embedder.aembed(TEXTS)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (error(404, "The model `m` does not exist", code="model_not_found"), EndpointError, "does not exist"),
        (Fault(status=307, headers={"location": "http://elsewhere.example/x"}), EndpointError, "redirects to elsewhere.example"),
        (error(429, "You have no credit", kind="insufficient_quota", code="insufficient_quota"), QuotaError, "billing"),
        (Fault(status=429, headers={"retry-after": "86400"}), ThrottledError, "86400"),
    ],
)
async def test_answers_about_the_endpoint_stop_at_the_first(fault, kind, words):
    async with FakeServer(faults=[fault]) as server:
        with pytest.raises(kind, match=words):
            await embed(server)
    assert len(server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("reply", [b"<html><title>Welcome</title></html>", b"{}", b'{"data": []}', b'{"data": [1, 2]}', b"", b"null"])
async def test_a_server_that_speaks_something_else_is_found_out_soon(reply):
    async with FakeServer(faults=[Fault(body=reply, times=None)]) as server:
        with pytest.raises(EndpointError, match="answers 200"):
            await embed(server)
    assert len(server.requests) <= 30


@pytest.mark.asyncio
async def test_17_a_redirect_to_another_host_gets_neither_key_nor_texts():
    async with FakeServer() as other:
        faults = [Fault(status=308, headers={"location": f"{other.base_url}/embeddings"})]
        async with FakeServer(faults=faults) as server:
            with pytest.raises(EndpointError):
                await embed(server, api_key=KEY)
    assert other.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [500, 502, 408])
async def test_4_one_server_error_is_tried_again(status):
    async with FakeServer(faults=[Fault(status=status, body=b"<html>Bad Gateway</html>", after=1)]) as server:
        answer = await embed(server)
    assert are_right(answer, TEXTS)
    assert (len(answer.positions), answer.usage.requests, answer.usage.retries) == (10, 3, 1)


@pytest.mark.asyncio
async def test_4_a_server_that_only_fails_is_an_outage_and_no_text_is_blamed():
    async with FakeServer(faults=[Fault(status=500, times=None)]) as server:
        with pytest.raises(OutageError, match="answers 500"):
            await embed(server)
    assert len(server.requests) == QUICK.attempts


@pytest.mark.asyncio
async def test_4_a_server_that_goes_down_in_the_middle_opens_the_circuit():
    async with FakeServer(faults=[Fault(status=500, times=None, after=1)]) as server:
        with pytest.raises(OutageError, match="20 batches"):
            await embed(server, retry=RetryPolicy(attempts=1))
    assert sizes(server) == [2] + [8] * 20


@pytest.mark.asyncio
async def test_a_text_that_the_server_breaks_on_while_others_succeed_fails_as_server_error():
    faults = [Fault(status=500, times=None, when=lambda request: "bad" in request.texts)]
    async with (
        FakeServer(faults=faults) as server,
        embedder_of(server, retry=RetryPolicy(attempts=2, base=0.01, max_backoff=0.05)) as embedder,
    ):

        async def others():
            while True:
                await embedder.aembed(["good"])

        await embedder.aembed(["first"])
        beside = asyncio.create_task(others())
        answer = await embedder.aembed([*TEXTS[:3], "bad"])
        beside.cancel()
    assert reasons(answer) == {3: "server_error"}
    assert are_right(answer, TEXTS)


@pytest.mark.asyncio
async def test_1_a_throttle_makes_all_wait_and_uses_no_attempt():
    async with FakeServer(faults=[Fault(status=429, headers={"retry-after": "0.05"}, after=1, times=1)]) as server:
        answer = await embed(server, retry=RetryPolicy(attempts=1))
    assert len(answer.positions) == 10
    assert answer.waits.gate > 0


@pytest.mark.asyncio
@pytest.mark.parametrize("cut", [-1, 0, 40])
async def test_8_a_cut_connection_gives_no_row_and_is_tried_again(cut):
    async with FakeServer(faults=[Fault(cut=cut, after=1, times=2)]) as server:
        answer = await embed(server)
    assert len(answer.positions) == 10
    assert are_right(answer, TEXTS)


@pytest.mark.asyncio
async def test_7_a_slow_server_is_left_and_tried_again():
    async with FakeServer(faults=[Fault(delay=60)]) as server:
        assert len((await embed(server, timeout=0.2)).positions) == 10


def changed(change, **options):
    def whole(document):
        change(document)
        return document

    return Fault(change=whole, **options)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["data"].reverse(),
        lambda document: document["data"][0].pop("index"),
        lambda document: [row.pop("index") for row in document["data"]],
        lambda document: document.pop("usage"),
        lambda document: document.update(usage={"prompt_tokens": "many"}),
        lambda document: document.update(model="another", object=None),
    ],
    ids=["shuffled", "index 0 left out", "no index", "no usage", "strange usage", "another name"],
)
async def test_11_what_is_unusual_but_right_is_taken(change):
    async with FakeServer(faults=[changed(change, times=None)]) as server:
        answer = await embed(server)
    assert len(answer.positions) == 10
    assert are_right(answer, TEXTS)
    assert answer.usage.retries == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["data"].pop(),
        lambda document: document["data"].append(document["data"][0]),
        lambda document: document["data"].clear(),
        lambda document: document["data"][0].update(index=1),
        lambda document: [row.update(embedding=None) for row in document["data"]],
        lambda document: document["data"][1].pop("index") and document["data"][2].pop("index"),
        lambda document: document.update(error={"message": "upstream"}),
    ],
    ids=["too few", "too many", "none", "index twice", "all null", "some without index", "200 with an error"],
)
@pytest.mark.parametrize("first", [0, 2], ids=["at the start", "later"])
async def test_10_what_is_wrong_is_rejected_as_a_whole_and_tried_again(change, first):
    fault = changed(change, when=lambda request: len(request.texts) > first)
    async with FakeServer(faults=[fault]) as server, embedder_of(server) as embedder:
        answer = await embedder.aembed(TEXTS)
    assert len(answer.positions) == 10
    assert are_right(answer, TEXTS)


def broken_vector(value):
    def change(document):
        for row in document["data"]:
            if row["index"] == 3:
                row["embedding"] = value

    return change


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "value",
    [None, [None] * 8, ["1"] * 8, [1.0] * 7, [], "AAAA", "%%", [1e39] * 8, [[1.0] * 8]],
    ids=["null", "nulls", "strings", "7 numbers", "empty", "3 bytes", "no base64", "1e39", "nested"],
)
async def test_13_one_vector_that_is_none_is_asked_for_again_and_the_rest_is_kept(value):
    fault = changed(broken_vector(value), when=lambda request: len(request.texts) > 2)
    async with FakeServer(faults=[fault]) as server:
        answer = await embed(server)
    assert len(answer.positions) == 10
    assert are_right(answer, TEXTS)
    assert sizes(server) == [2, 8, 1]


@pytest.mark.asyncio
async def test_13_nan_for_one_text_every_time_fails_that_text_alone():
    def change(document):
        # As Python servers write it, which is no JSON.
        return json.dumps({**document, "data": [{**row, "embedding": [math.nan] * 8} for row in document["data"]]}).encode()

    fault = Fault(change=change, times=None, when=lambda request: TEXTS[5] in request.texts)
    async with FakeServer(faults=[fault]) as server:
        answer = await embed(server)
    assert reasons(answer) == {5: "bad_response"}
    assert len(answer.positions) == 9
    assert are_right(answer, TEXTS)


@pytest.mark.asyncio
async def test_12_another_dimension_than_asked_for_is_the_endpoints_mistake():
    async with FakeServer(
        faults=[changed(lambda document: [row.update(embedding=[1.0] * 6) for row in document["data"]], times=None)]
    ) as server:
        with pytest.raises(EndpointError, match="6 dimensions instead of 4"):
            await embed(server, dimensions=4)


@pytest.mark.asyncio
async def test_a_server_without_base64_is_found_out_once():
    async with FakeServer(takes_base64=False) as server:
        answer = await embed(server)
    assert are_right(answer, TEXTS)
    assert ["encoding_format" in request.document for request in server.requests] == [True, False, False]


@pytest.mark.asyncio
async def test_numbers_instead_of_base64_are_taken_as_they_come():
    async with FakeServer() as server:
        answer = await embed(server, extra_body={"encoding_format": "float"})
    assert are_right(answer, TEXTS)


MANY = [f"text {number}" for number in range(96)]


@pytest.mark.asyncio
async def test_14_a_long_text_among_96_that_is_named_costs_two_calls():
    texts = [*MANY[:22], "x" * 400, *MANY[23:]]
    async with FakeServer(max_input_tokens=50) as server, embedder_of(server) as embedder:
        await embedder.aembed(["first"])
        answer = await embedder.aembed(texts)
    assert reasons(answer) == {22: "too_long"}
    assert len(answer.positions) == 95
    assert are_right(answer, texts)
    assert sizes(server) == [1, 96, 95]


@pytest.mark.asyncio
@pytest.mark.parametrize("place", [0, 22, 95])
@pytest.mark.parametrize("status", [400, 500])
async def test_14_a_long_text_among_96_that_is_not_named_costs_at_most_15_calls(place, status):
    texts = [*MANY[:place], "long", *MANY[place + 1 :]]
    fault = error(status, "input (600 tokens) is too large to process", times=None, when=lambda request: "long" in request.texts)
    async with FakeServer(faults=[fault]) as server, embedder_of(server) as embedder:
        await embedder.aembed(["first"])
        answer = await embedder.aembed(texts)
    assert reasons(answer) == {place: "too_long"}
    assert len(answer.positions) == 95
    assert are_right(answer, texts)
    assert len(server.requests) - 1 <= 2 * math.log2(96) + 2


@pytest.mark.asyncio
async def test_14_a_long_text_is_truncated_or_split_where_the_policy_says_so():
    long = "x" * 400
    async with FakeServer(max_input_tokens=50) as server:
        cut = await embed(server, ["a", long], on_too_long="truncate")
        split = await embed(server, ["a", long], on_too_long="split")
    assert (cut.positions, cut.truncated, cut.failures) == ((0, 1), {1}, ())
    assert (split.positions, split.truncated, split.failures) == ((0, 1), frozenset(), ())
    assert split.vectors[1] == pytest.approx(vector_of("x" * 200), abs=1e-6)


@pytest.mark.asyncio
async def test_15_a_request_that_is_too_big_is_halved_and_the_cap_is_learned():
    texts = [f"{number:03} " + "x" * 96 for number in range(64)]  # 25 tokens each
    async with FakeServer(max_request_tokens=400) as server, embedder_of(server) as embedder:
        first = await embedder.aembed(texts)
        refused = len(server.requests)
        second = await embedder.aembed(texts)
        after = len(server.requests) - refused
    assert (len(first.positions), len(second.positions)) == (64, 64)
    assert are_right(second, texts)
    assert after <= 5  # 1,600 tokens in requests of at most 400, nothing refused


@pytest.mark.asyncio
async def test_15_a_cap_of_texts_that_the_server_names_is_kept():
    async with FakeServer(max_items=10) as server, embedder_of(server, batch=BatchLimits(max_items=96)) as embedder:
        await embedder.aembed(MANY)
        before = len(server.requests)
        await embedder.aembed(MANY)
    assert sizes(server)[before:] == [10] * 9 + [6]


@pytest.mark.asyncio
async def test_34_empty_broken_nul_and_5_mb_texts_do_not_poison_their_batch():
    texts = ["good", "", " \n", "\ud800", "nul\x00nul", "x" * 5_000_000, "good too"]
    async with FakeServer() as server:
        answer = await embed(server, texts)
    assert reasons(answer) == {1: "empty", 2: "empty", 3: "bad_text", 5: "too_long"}
    assert answer.positions == (0, 4, 6)
    assert are_right(answer, texts)


@pytest.mark.asyncio
async def test_when_every_text_is_refused_with_the_same_words_it_is_not_the_texts():
    async with FakeServer(faults=[error(422, "field `frobnicate` is required", times=None)]) as server:
        with pytest.raises(EndpointError, match="frobnicate"):
            await embed(server, MANY)
    assert len(server.requests) < 10


@pytest.mark.asyncio
async def test_one_refused_text_is_found_and_named_with_the_servers_words():
    fault = error(400, "we do not like this", times=None, when=lambda request: TEXTS[7] in request.texts)
    async with FakeServer(faults=[fault]) as server:
        answer = await embed(server)
        with pytest.raises(ItemError, match="we do not like this"):
            async with embedder_of(server) as embedder:
                await embedder.aembed(["fine"])
                await embedder.aget_text_embedding(TEXTS[7])
    assert reasons(answer) == {7: "refused"}
    assert are_right(answer, TEXTS)


@pytest.mark.asyncio
async def test_what_a_litellm_proxy_says_a_call_has_cost_goes_before_the_price():
    async with FakeServer(faults=[Fault(headers={"x-litellm-response-cost": "0.25"}, times=None)]) as server:
        answer = await embed(server, TEXTS[:2], price_per_million_tokens=1.0)
    assert answer.usage.cost == 0.25


@pytest.mark.asyncio
async def test_concurrency_is_what_the_limits_say():
    options = {"limits": Limits(concurrency=3), "batch": BatchLimits(max_items=2)}
    async with FakeServer(latency=0.01) as server, embedder_of(server, **options) as embedder:
        rows = await embedder.aget_text_embedding_batch(MANY)
    assert len(rows) == 96
    assert 2 <= server.most_in_flight <= 3
    assert embedder.workers == 3


@pytest.mark.asyncio
async def test_cancelling_leaves_nothing_running_and_the_next_call_works():
    async with FakeServer(faults=[Fault(delay=60)]) as server, embedder_of(server) as embedder:
        waiting = [asyncio.create_task(embedder.aembed(TEXTS)) for _ in range(3)]
        while not server.requests:
            await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert len((await embedder.aembed(TEXTS)).positions) == 10


def test_the_synchronous_twins_work_one_after_the_other():
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
