"""Embedders behind HTTP when a reply or a text of a batch is wrong: the bad text is found with few calls, the others get theirs."""

import asyncio
import json
import math

import numpy as np
import pytest

from asyncrun.aio.retry import RetryPolicy
from asyncrun.errors import AuthError, EndpointError, ItemError
from asyncrun.packing import BatchLimits
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import are_right, vector_of

KEY = "sentinel-0123456789abcdef"
TEXTS = [f"text {number}" for number in range(10)]


def reasons(answer):
    return {failure.position: failure.reason for failure in answer.failures}


@pytest.mark.asyncio
async def test_a_text_that_the_server_breaks_on_while_others_succeed_fails_as_server_error(embedder_of):
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
async def test_what_is_unusual_but_right_is_taken(embed, change):
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
async def test_what_is_wrong_is_rejected_as_a_whole_and_tried_again(embedder_of, change, first):
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
async def test_one_vector_that_is_none_is_asked_for_again_and_the_rest_is_kept(embed, value):
    fault = changed(broken_vector(value), when=lambda request: len(request.texts) > 2)
    async with FakeServer(faults=[fault]) as server:
        answer = await embed(server)
    assert len(answer.positions) == 10
    assert are_right(answer, TEXTS)
    assert server.batch_sizes == [2, 8, 1]


@pytest.mark.asyncio
async def test_nan_for_one_text_every_time_fails_that_text_alone(embed):
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
async def test_another_dimension_than_asked_for_is_the_endpoints_mistake(embed):
    async with FakeServer(
        faults=[changed(lambda document: [row.update(embedding=[1.0] * 6) for row in document["data"]], times=None)]
    ) as server:
        with pytest.raises(EndpointError, match="6 dimensions instead of 4"):
            await embed(server, dimensions=4)


MANY = [f"text {number}" for number in range(96)]


@pytest.mark.asyncio
async def test_a_long_text_among_96_that_is_named_costs_two_calls(embedder_of):
    texts = [*MANY[:22], "x" * 400, *MANY[23:]]
    async with FakeServer(max_input_tokens=50) as server, embedder_of(server) as embedder:
        await embedder.aembed(["first"])
        answer = await embedder.aembed(texts)
    assert reasons(answer) == {22: "too_long"}
    assert len(answer.positions) == 95
    assert are_right(answer, texts)
    assert server.batch_sizes == [1, 96, 95]


@pytest.mark.asyncio
@pytest.mark.parametrize("place", [0, 22, 95])
@pytest.mark.parametrize("status", [400, 500])
async def test_a_long_text_among_96_that_is_not_named_costs_at_most_15_calls(embedder_of, place, status):
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
async def test_many_long_texts_that_are_not_named_cost_two_calls_each(embedder_of):
    texts = [f"{number} {'long ' * 60 if number % 3 == 0 else ''}" for number in range(96)]
    long = error(500, "input is too large to process", times=None, when=lambda request: max(map(len, request.texts)) > 200)
    async with FakeServer(faults=[long]) as server, embedder_of(server) as embedder:
        answer = await embedder.aembed(texts)
    assert [failure.position for failure in answer.failures] == list(range(0, 96, 3))
    assert len(answer.positions) == 64
    assert len(server.requests) <= 2 * 32 + 10


@pytest.mark.asyncio
async def test_a_long_text_is_truncated_or_split_where_the_policy_says_so(embed):
    long = "x" * 400
    async with FakeServer(max_input_tokens=50) as server:
        cut = await embed(server, ["a", long], on_too_long="truncate")
        split = await embed(server, ["a", long], on_too_long="split")
    assert (cut.positions, cut.truncated, cut.failures) == ((0, 1), {1}, ())
    assert (split.positions, split.truncated, split.failures) == ((0, 1), frozenset(), ())
    assert split.vectors[1] == pytest.approx(vector_of("x" * 200), abs=1e-6)


@pytest.mark.asyncio
@pytest.mark.parametrize("policy", ["truncate", "split"])
async def test_pieces_of_a_long_text_are_not_taken_for_texts_when_an_error_ends_their_batch(embedder_of, policy):
    texts = ["", "a", "x" * 400, "b", "y" * 400, "c"]
    ended = error(401, "no such key", when=lambda request: request.texts[0].startswith("y" * 10) and len(request.texts[0]) < 400)
    async with FakeServer(max_input_tokens=50, faults=[ended]) as server, embedder_of(server, on_too_long=policy) as embedder:
        before = await embedder.aembed(texts)
    assert isinstance(before.error, AuthError)
    assert before.positions == (1, 2, 3, 5)
    assert before.truncated == ({2} if policy == "truncate" else set())
    assert before.vectors[[0, 2, 3]] == pytest.approx(np.stack([vector_of(text) for text in "abc"]), abs=1e-6)
    assert before.vectors[1] == pytest.approx(vector_of("x" * 200), abs=1e-6)


@pytest.mark.asyncio
async def test_a_request_that_is_too_big_is_halved_and_the_cap_is_learned(embedder_of):
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
async def test_a_cap_of_texts_that_the_server_names_is_kept(embedder_of):
    async with FakeServer(max_items=10) as server, embedder_of(server, batch=BatchLimits(max_items=96)) as embedder:
        await embedder.aembed(MANY)
        before = len(server.requests)
        await embedder.aembed(MANY)
    assert server.batch_sizes[before:] == [10] * 9 + [6]


@pytest.mark.asyncio
async def test_empty_broken_nul_and_5_mb_texts_do_not_poison_their_batch(embed):
    texts = ["good", "", " \n", "\ud800", "nul\x00nul", "x" * 5_000_000, "good too"]
    async with FakeServer() as server:
        answer = await embed(server, texts)
    assert reasons(answer) == {1: "empty", 2: "empty", 3: "bad_text", 5: "too_long"}
    assert answer.positions == (0, 4, 6)
    assert are_right(answer, texts)


@pytest.mark.asyncio
async def test_when_every_text_is_refused_with_the_same_words_it_is_not_the_texts(embed):
    async with FakeServer(faults=[error(422, "field `frobnicate` is required", times=None)]) as server:
        with pytest.raises(EndpointError, match="frobnicate"):
            await embed(server, MANY)
    assert len(server.requests) < 10


@pytest.mark.asyncio
async def test_one_refused_text_is_found_and_named_with_the_servers_words(embed, embedder_of):
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
@pytest.mark.parametrize("size", [{"embed_batch_size": 4}, {"batch": BatchLimits(max_items=4)}], ids=["embed_batch_size", "batch"])
async def test_no_request_has_more_texts_than_a_batch_however_many_are_given(embedder_of, size):
    texts = [*TEXTS, " ", *TEXTS[:3]]
    async with FakeServer() as server, embedder_of(server, **size) as embedder:
        answer = await embedder.aembed(texts)
        rows = await embedder.aget_text_embeddings(TEXTS)
    assert max(server.batch_sizes) <= 4
    assert sorted(server.sent_texts) == sorted([*TEXTS, *TEXTS[:3], *TEXTS])
    assert answer.positions == tuple(place for place in range(14) if place != 10)
    assert are_right(answer, texts)
    assert reasons(answer) == {10: "empty"}
    assert rows == [vector_of(text).tolist() for text in TEXTS]


@pytest.mark.asyncio
async def test_what_was_answered_before_an_error_is_kept_over_many_batches(embedder_of):
    faults = [error(401, "no", when=lambda request: TEXTS[9] in request.texts, times=None)]
    async with FakeServer(faults=faults) as server, embedder_of(server, embed_batch_size=4) as embedder:
        answer = await embedder.aembed(TEXTS)
    assert isinstance(answer.error, AuthError)
    assert answer.positions == tuple(range(8))
