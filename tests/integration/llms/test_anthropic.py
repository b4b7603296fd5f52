"""Anthropic's messages over the wire: what is in a request, what an answer is, and what each refusal means."""

import random

import pytest

from asyncrun.aio.retry import RetryPolicy
from asyncrun.errors import AuthError, EndpointError, OutageError, QuotaError, ThrottledError
from asyncrun.llms import Anthropic, Declined, Price
from asyncrun.llms.http_chat import HttpChat
from asyncrun.records import Answer
from asyncrun.testing import Chat, FakeServer, Fault, Quota, Said, in_turn
from asyncrun.testing.chat import answer_of
from asyncrun.testing.faults import error

KEY = "sentinel-0123456789abcdef"
SCHEMA = {"type": "object", "properties": {"kind": {"enum": ["cat", "dog"]}}, "required": ["kind"], "additionalProperties": False}


def chat_at(server, **options):
    retry = RetryPolicy(base=0.001, max_backoff=0.01)
    return HttpChat(model="claude", provider="anthropic", base_url=server.base_url, rng=random.Random(1), **{"retry": retry, **options})


async def ask(server, *, schema=None, prompt="Why?", **options):
    async with chat_at(server, **options) as llm:
        return await llm.complete(llm.messages(prompt), schema=schema)


@pytest.mark.asyncio
async def test_a_question_goes_out_and_its_answer_comes_back_with_tokens_and_cost():
    said = Said("Because it rains.", cached_tokens=1)
    async with FakeServer(key=KEY, chat=Chat(answer=in_turn(said))) as server:
        price = Price(1.0, 2.0, cached_input=0.1)
        completion = await ask(server, api_key=KEY, system="Be brief.", temperature=0, max_output_tokens=50, price=price)
    assert completion.answer == Answer("Because it rains.", "stop", input_tokens=3, output_tokens=3, cached_tokens=1)
    assert completion.usage.cost == pytest.approx((2 * 1 + 1 * 0.1 + 3 * 2) / 1e6)
    assert completion.model == "claude"
    [request] = server.requests
    assert (request.path, request.headers["x-api-key"], request.headers["anthropic-version"]) == ("/v1/messages", KEY, "2023-06-01")
    assert request.document == {
        "model": "claude",
        "temperature": 0,
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Why?"}],
        "system": "Be brief.",
        "stream": False,
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (Said("one two three"), Answer("one two", "length", 1, 2)),
        (Said(None, refusal="I cannot."), Answer("I cannot.", "refusal", 1)),
        (Said("", "pause_turn"), Answer("", "pause_turn", 1)),
    ],
)
async def test_an_answer_that_ended_early_is_a_result_and_not_asked_for_again(said, answer):
    async with FakeServer(chat=Chat(answer=in_turn(said))) as server:
        completion = await ask(server, max_output_tokens=2)
    assert completion.answer == answer
    assert len(server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (error(401, "invalid x-api-key", times=None), AuthError),
        (error(403, "not for this key", times=None), AuthError),
        (error(402, "pay first", times=None), QuotaError),
        (error(400, "Your credit balance is too low to access the Anthropic API.", times=None), QuotaError),
        (error(400, "You have reached your specified API usage limits.", times=None), QuotaError),
        (error(429, "This request would exceed your organization's monthly spend limit.", times=None), QuotaError),
        (error(429, "later", headers={"retry-after": "86400"}, times=None), ThrottledError),
        (error(404, "model: claude", times=None), EndpointError),
        (error(500, "Internal server error", times=None), OutageError),
    ],
    ids=["401", "403", "402", "credit", "own limit", "spend cap", "429 for a day", "404", "500"],
)
async def test_what_is_about_the_endpoint_is_told(fault, raised):
    async with FakeServer(faults=[fault]) as server:
        completion = await ask(server, api_key=KEY)
    assert type(completion.error) is raised
    assert KEY not in str(completion.error)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fault",
    [
        error(529, "Overloaded", headers={"retry-after": "0"}),
        error(429, "slow down", headers={"retry-after-ms": "5", "retry-after": "0"}),
        error(500, "Internal server error", times=2),
        error(504, "Timed out", times=2),
        Fault(body=b'{"type":"error","error":{"type":"api_error","message":"boom"}}', times=2),
        Fault(body=b'{"content": null}', times=2),
    ],
    ids=["529", "429", "500", "504", "error in 200", "no content"],
)
async def test_what_passes_is_tried_again(fault):
    async with FakeServer(faults=[fault]) as server:
        completion = await ask(server)
    assert isinstance(completion.answer, Answer)
    assert (completion.usage.requests, completion.usage.retries) == (fault.times + 1, fault.times)


@pytest.mark.asyncio
async def test_a_server_that_says_not_to_try_again_is_obeyed():
    async with FakeServer(faults=[error(500, "boom", headers={"x-should-retry": "false"}, times=None)]) as server:
        completion = await ask(server)
    assert isinstance(completion.answer, Declined)
    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_a_prompt_that_is_too_long_fails_alone():
    async with FakeServer(chat=Chat(max_input_tokens=10)) as server, chat_at(server) as llm:
        assert isinstance((await llm.complete(llm.messages("short"))).answer, Answer)
        completion = await llm.complete(llm.messages("word " * 11))
    assert completion.answer.reason == "too_long"


@pytest.mark.asyncio
async def test_an_answer_in_a_schema_comes_in_the_form_that_the_server_takes():
    async with FakeServer() as server:
        found = await ask(server, schema=SCHEMA)
    assert found.answer.text in ('{"kind": "cat"}', '{"kind": "dog"}')
    async with FakeServer(chat=Chat(refuses=["output_config"])) as old:
        found = await ask(old, schema=SCHEMA)
    assert found.answer.text in ('{"kind":"cat"}', '{"kind":"dog"}')
    assert found.answer.finish_reason == "stop"
    assert ["tools" in request.document for request in old.requests] == [False, True]
    async with FakeServer(chat=Chat(refuses=["output_config", "tools"])) as oldest:
        found = await ask(oldest, schema=SCHEMA)
    assert found.answer.text in ('{"kind": "cat"}', '{"kind": "dog"}')
    assert "JSON Schema" in oldest.requests[-1].document["system"]


@pytest.mark.asyncio
async def test_its_limits_are_learned_from_its_headers():
    async with FakeServer(quota=Quota(requests=100, tokens=5000)) as server, chat_at(server) as llm:
        await llm.complete(llm.messages("Why?"))
        assert (llm.rate_limits.requests_per_minute, llm.rate_limits.tokens_per_minute) == (100, 5000)


@pytest.mark.asyncio
async def test_an_answer_is_told_while_it_is_written():
    pieces = []
    async with FakeServer() as server, chat_at(server) as llm:
        completion = await llm.stream(llm.messages("Why?"), pieces.append)
    assert completion.answer == Answer(answer_of(["Why?"]), "stop", 1, 5)
    assert len(pieces) > 1
    assert "".join(pieces) == completion.answer.text


@pytest.mark.asyncio
async def test_an_error_within_a_stream_is_one_before_the_first_word_and_the_end_after_it():
    def failing(at):
        told = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
        return Fault(events=lambda events: [*events[:at], told])

    async with FakeServer(faults=[failing(2)]) as server, chat_at(server) as llm:
        assert isinstance((await llm.stream(llm.messages("Why?"), lambda _: None)).answer, Answer)
        assert len(server.requests) == 2
    async with FakeServer(faults=[failing(5)]) as server, chat_at(server) as llm:
        assert (await llm.stream(llm.messages("Why?"), lambda _: None)).answer.reason == "server_error"
        assert len(server.requests) == 1


def test_llama_indexs_arguments_make_one():
    with FakeServer(key=KEY).in_thread() as server:
        llm = Anthropic("claude", api_key=KEY, base_url=server.base_url, max_tokens=50, system_prompt="Be brief.")
        assert llm.complete("Why?").text == answer_of(["Be brief.", "Why?"])
        assert "".join(part.delta for part in llm.stream_complete("Why?")) == answer_of(["Be brief.", "Why?"])
    assert server.requests[0].document["max_tokens"] == 50


@pytest.mark.asyncio
async def test_what_answers_have_had_is_reserved_and_not_the_most_that_they_may_have():
    async with FakeServer() as server, chat_at(server) as llm:
        assert llm.expected_output == 4096
        await llm.complete(llm.messages("Why?"))
        assert llm.expected_output == 5
    async with FakeServer() as server, HttpChat(model="m", base_url=server.base_url, max_output_tokens=50) as other:
        await other.complete(other.messages("Why?"))
        assert other.expected_output == 50
