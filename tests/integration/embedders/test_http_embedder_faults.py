"""Embedders behind HTTP when the endpoint is wrong or down: the right error, no needless call, no text blamed, no wrong row."""

import asyncio
import gc
import sys

import pytest

from asyncrun.aio.retry import RetryPolicy
from asyncrun.errors import AuthError, EndpointError, OutageError, QuotaError, ThrottledError
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import are_right

KEY = "sentinel-0123456789abcdef"
TEXTS = [f"text {number}" for number in range(10)]
QUICK = RetryPolicy(base=0.001, max_backoff=0.01)


@pytest.mark.asyncio
async def test_a_bad_key_costs_one_call_whoever_waits(embedder_of):
    async with FakeServer(key="another") as server, embedder_of(server, api_key=KEY) as embedder:
        answers = await asyncio.gather(*(embedder.aembed(TEXTS) for _ in range(8)))
    assert {type(answer.error) for answer in answers} == {AuthError}
    assert server.batch_sizes == [2]


@pytest.mark.asyncio
async def test_an_unreachable_endpoint_is_told_after_three_tries(embedder_of, unused_port):
    async with embedder_of(FakeServer(port=unused_port)) as embedder:
        with pytest.raises(OutageError, match=r"cannot reach 127\.0\.0\.1:\d+: the connection is refused"):
            (await embedder.aembed(TEXTS)).or_raise()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (error(404, "The model `m` does not exist", code="model_not_found"), EndpointError, "does not exist"),
        (Fault(status=307, headers={"location": "http://elsewhere.example/x"}), EndpointError, "redirects to elsewhere.example"),
        (error(429, "You have no credit", kind="insufficient_quota", code="insufficient_quota"), QuotaError, "billing"),
        (Fault(status=429, headers={"retry-after": "86400"}), ThrottledError, "24h 00m"),
    ],
)
async def test_answers_about_the_endpoint_stop_at_the_first(embed, fault, kind, words):
    async with FakeServer(faults=[fault]) as server:
        with pytest.raises(kind, match=words):
            await embed(server)
    assert len(server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("reply", [b"<html><title>Welcome</title></html>", b"{}", b'{"data": []}', b'{"data": [1, 2]}', b"", b"null"])
async def test_a_server_that_speaks_something_else_is_found_out_soon(embed, reply):
    async with FakeServer(faults=[Fault(body=reply, times=None)]) as server:
        with pytest.raises(EndpointError, match="answers 200"):
            await embed(server)
    assert len(server.requests) <= 30


@pytest.mark.asyncio
async def test_a_redirect_to_another_host_gets_neither_key_nor_texts(embed):
    async with FakeServer() as other:
        faults = [Fault(status=308, headers={"location": f"{other.base_url}/embeddings"})]
        async with FakeServer(faults=faults) as server:
            with pytest.raises(EndpointError):
                await embed(server, api_key=KEY)
    assert other.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [500, 502, 408])
async def test_one_server_error_is_tried_again(embed, status):
    async with FakeServer(faults=[Fault(status=status, body=b"<html>Bad Gateway</html>", after=1)]) as server:
        answer = await embed(server)
    assert are_right(answer, TEXTS)
    assert (len(answer.positions), answer.usage.requests, answer.usage.retries) == (10, 3, 1)


@pytest.mark.asyncio
async def test_a_server_that_only_fails_is_an_outage_and_no_text_is_blamed(embed):
    async with FakeServer(faults=[Fault(status=500, times=None)]) as server:
        with pytest.raises(OutageError, match="answers 500"):
            await embed(server)
    assert len(server.requests) == QUICK.attempts


@pytest.mark.asyncio
async def test_a_server_that_goes_down_in_the_middle_opens_the_circuit(embed):
    async with FakeServer(faults=[Fault(status=500, times=None, after=1)]) as server:
        with pytest.raises(OutageError, match="20 batches"):
            await embed(server, retry=RetryPolicy(attempts=1))
    assert server.batch_sizes == [2] + [8] * 20


@pytest.mark.asyncio
async def test_a_throttle_makes_all_wait_and_uses_no_attempt(embed):
    async with FakeServer(faults=[Fault(status=429, headers={"retry-after": "0.05"}, after=1, times=1)]) as server:
        answer = await embed(server, retry=RetryPolicy(attempts=1))
    assert len(answer.positions) == 10
    assert answer.waits.gate > 0


@pytest.mark.asyncio
@pytest.mark.parametrize("cut", [-1, 0, 40])
async def test_a_cut_connection_gives_no_row_and_is_tried_again(embed, cut):
    async with FakeServer(faults=[Fault(cut=cut, after=1, times=2)]) as server:
        answer = await embed(server)
    assert len(answer.positions) == 10
    assert are_right(answer, TEXTS)


@pytest.mark.asyncio
async def test_a_batch_that_takes_too_long_is_sent_in_halves_and_the_next_ones_fit(embedder_of):
    told = []
    slow = Fault(delay=60, times=None, when=lambda request: len(request.texts) > 4)
    async with FakeServer(faults=[slow]) as server, embedder_of(server, timeout=1.0, warn=told.append) as embedder:
        first = await embedder.aembed(TEXTS)
        begun = len(server.requests)
        second = await embedder.aembed(TEXTS)
    assert are_right(first, TEXTS)
    assert are_right(second, TEXTS)
    assert server.batch_sizes[:begun] == [2, 8, 4, 4]
    assert max(server.batch_sizes[begun:]) <= 4
    assert len(told) == 1
    assert "no whole reply to 8 texts within the timeout of 1 s" in told[0]


@pytest.mark.asyncio
async def test_a_text_that_a_server_hangs_on_is_found_and_the_batches_stay_as_large_as_they_were(embedder_of):
    stuck = Fault(delay=60, times=None, when=lambda request: "text 7" in request.texts)
    options = {"timeout": 1.0, "retry": RetryPolicy(attempts=1), "warn": lambda words: None}
    async with FakeServer(faults=[stuck]) as server, embedder_of(server, **options) as embedder:
        await embedder.aembed([f"word {number}" for number in range(10)])
        answer = await embedder.aembed(TEXTS)
        await embedder.aembed([f"word {number}" for number in range(8)])
    assert [(failure.position, failure.reason) for failure in answer.failures] == [(7, "server_error")]
    assert len(answer.positions) == 9
    assert server.batch_sizes[-1] == 8


@pytest.mark.asyncio
async def test_a_slow_server_is_left_and_tried_again(embed):
    async with FakeServer(faults=[Fault(delay=60)]) as server:
        assert len((await embed(server, timeout=1.0)).positions) == 10


@pytest.mark.asyncio
async def test_a_text_that_was_refused_is_let_go_with_its_call(embedder_of):
    text = "word " * 20_000
    async with FakeServer(max_input_tokens=10) as server, embedder_of(server) as embedder:
        await embedder.aembed(["ok"])
        gc.collect()
        gc.disable()
        try:
            before = sys.getrefcount(text)
            answer = await embedder.aembed([text])
            assert [failure.reason for failure in answer.failures] == ["too_long"]
            assert sys.getrefcount(text) == before
        finally:
            gc.enable()
