"""Chat completions over the wire: what is in a request, what an answer is, and what each refusal means."""

import pytest

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import RetryPolicy
from asyncrun.errors import AuthError, EndpointError, OutageError, QuotaError, ThrottledError
from asyncrun.llms.interface import Declined, Price
from asyncrun.records import Answer
from asyncrun.testing.chat import Chat, answer_of
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer
from asyncrun.usage import Usage

KEY = "sentinel-0123456789abcdef"


def changed(**choice):
    """A fault that puts something else into the first choice."""

    def change(document):
        document["choices"][0].update(choice)
        return document

    return Fault(change=change, times=None)


@pytest.mark.asyncio
async def test_a_question_goes_out_and_its_answer_comes_back_with_tokens_and_cost(ask):
    async with FakeServer(key=KEY) as server:
        options = {"api_key": KEY, "system": "Be brief.", "temperature": 0, "max_output_tokens": 50, "extra_body": {"seed": 1}}
        completion = await ask(server, price=Price(1.0, 2.0), **options)
    assert completion.answer == Answer(answer_of(["Be brief.", "Why?"], seed=1), "stop", input_tokens=3, output_tokens=5)
    assert (completion.usage.requests, completion.usage.retries, completion.usage.tokens) == (1, 0, 8)
    assert completion.usage.cost == pytest.approx((3 * 1 + 5 * 2) / 1e6)
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.document == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
        "temperature": 0,
        "max_completion_tokens": 50,
        "stream": False,
        "seed": 1,
    }


@pytest.mark.asyncio
async def test_what_is_not_stated_is_not_sent(ask):
    async with FakeServer() as server:
        await ask(server)
    assert set(server.requests[0].document) == {"model", "messages", "stream"}
    assert "authorization" not in server.requests[0].headers


@pytest.mark.asyncio
async def test_what_a_proxy_says_a_call_has_cost_goes_before_the_price(ask):
    async with FakeServer(faults=[Fault(headers={"x-litellm-response-cost": "0.25"})]) as server:
        assert (await ask(server, price=Price(1.0, 2.0))).usage.cost == 0.25


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("first", "other", "options"),
    [
        ("max_completion_tokens", "max_tokens", {}),
        ("max_tokens", "max_completion_tokens", {"provider": "ollama"}),
    ],
)
async def test_the_name_of_the_limit_is_learned_from_the_refusal_once(ask, first, other, options):
    async with FakeServer(chat=Chat(limits=(other,))) as server:
        found = await ask(server, "one", "two", "three", one_by_one=True, max_output_tokens=2, **options)
    assert [completion.answer.finish_reason for completion in found] == ["length"] * 3
    assert [first in request.document for request in server.requests] == [True, False, False, False]
    assert [other in request.document for request in server.requests] == [False, True, True, True]


@pytest.mark.asyncio
async def test_a_server_that_knows_neither_name_is_not_asked_for_ever(ask):
    async with FakeServer(chat=Chat(limits=())) as server:
        completion = await ask(server, max_output_tokens=2)
    assert completion.answer.reason == "refused"
    assert len(server.requests) == 2


@pytest.mark.asyncio
async def test_a_limit_that_is_too_large_is_no_unknown_name(ask):
    fault = error(400, "max_completion_tokens is too large: 9. This model supports at most 4 completion tokens.", times=None)
    async with FakeServer(faults=[fault]) as server:
        completion = await ask(server, max_output_tokens=9)
    assert isinstance(completion.answer, Declined)
    assert len(server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "text", "reason"),
    [
        (changed(finish_reason="length"), answer_of(["Why?"]), "length"),
        (changed(finish_reason="content_filter", message={"content": None}), None, "content_filter"),
        (changed(finish_reason="stop", message={"content": None, "refusal": "I cannot."}), "I cannot.", "refusal"),
        (changed(finish_reason="tool_calls", message={"content": None}), None, "tool_calls"),
        (
            error(
                400,
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                code="content_filter",
            ),
            None,
            "content_filter",
        ),
    ],
)
async def test_an_answer_that_ended_early_is_a_result_and_not_asked_for_again(ask, fault, text, reason):
    async with FakeServer(faults=[fault]) as server:
        completion = await ask(server)
    assert (completion.answer.text, completion.answer.finish_reason) == (text, reason)
    assert len(server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fault",
    [
        error(500, "boom", times=2),
        error(503, "busy", times=2),
        Fault(body=b"<html>", times=2),
        Fault(body=b'{"choices": []}', times=2),
        Fault(cut=-1, times=2),
        Fault(cut=10, times=2),
        error(429, "slow down", headers={"retry-after-ms": "5"}, times=2),
    ],
    ids=["500", "503", "html", "no choices", "no byte", "half a body", "429"],
)
async def test_what_passes_is_tried_again(ask, fault):
    async with FakeServer(faults=[fault]) as server:
        completion = await ask(server)
    assert completion.answer.text == answer_of(["Why?"])
    assert (completion.usage.requests, completion.usage.retries) == (3, 2)
    assert len(server.requests) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "raised", "requests"),
    [
        (error(401, "no", code="invalid_api_key", times=None), AuthError, 1),
        (error(429, "You exceeded your current quota", kind="insufficient_quota", code="insufficient_quota", times=None), QuotaError, 1),
        (error(402, "pay first", times=None), QuotaError, 1),
        (error(404, "The model `m` does not exist", code="model_not_found", times=None), EndpointError, 1),
        (Fault(status=307, headers={"location": "https://elsewhere.example/"}, times=None), EndpointError, 1),
        (error(429, "later", headers={"retry-after": "86400"}, times=None), ThrottledError, 1),
        (error(500, "boom", times=None), OutageError, 6),
    ],
    ids=["401", "quota", "402", "404", "redirect", "429 for a day", "500 for ever"],
)
async def test_what_is_about_the_endpoint_is_told_to_all_who_ask_for_one_request(ask, fault, raised, requests):
    async with FakeServer(faults=[fault]) as server:
        found = await ask(server, *"abcdefgh", api_key=KEY)
    assert [type(completion.error) for completion in found] == [raised] * 8
    assert not any(completion.answer for completion in found)
    assert len(server.requests) == requests
    assert not any(KEY in str(completion.error) for completion in found)
    # Who has sent the requests says so, and who only heard of it has sent none.
    assert [completion.usage for completion in found] == [Usage(requests, requests - 1)] + [Usage()] * 7
    assert found[0].waits.request > 0


@pytest.mark.asyncio
async def test_a_prompt_that_is_too_long_fails_alone(ask):
    async with FakeServer(chat=Chat(max_input_tokens=10)) as server:
        short, long, last = await ask(server, "short", "word " * 11, "last")
    assert (short.answer.text, last.answer.text) == (answer_of(["short"]), answer_of(["last"]))
    assert (long.answer.reason, long.answer.attempts) == ("too_long", 1)
    assert "maximum context length is 10 tokens" in long.answer.message


@pytest.mark.asyncio
async def test_a_question_that_only_fails_does_so_when_others_succeed_meanwhile(ask):
    fault = error(500, "boom", when=lambda request: "bad" in request.prompts, times=None)
    async with FakeServer(faults=[fault]) as server:
        good = [f"good {number}" for number in range(20)]
        first, *found = await ask(server, "first", "bad", *good, retry=RetryPolicy(attempts=2, base=0.001, max_backoff=0.01))
    assert isinstance(first.answer, Answer)
    assert found[0].answer.reason == "server_error"
    assert [type(completion.answer) for completion in found[1:]] == [Answer] * len(good)


@pytest.mark.asyncio
async def test_an_endpoint_that_goes_down_is_an_outage_and_no_questions_fault(ask):
    async with FakeServer(faults=[error(500, "boom", after=1, times=None)]) as server:
        first, *found = await ask(server, "first", *"abcdefgh", retry=RetryPolicy(attempts=1, base=0.001, max_backoff=0.01))
    assert isinstance(first.answer, Answer)
    assert [type(completion.error) for completion in found] == [OutageError] * 8
    assert all("in a row" in str(completion.error) for completion in found)


@pytest.mark.asyncio
async def test_the_same_refusal_of_every_question_is_the_endpoints(ask):
    async with FakeServer(
        faults=[error(400, "Unsupported value: 'temperature' does not support 0 with this model.", times=None)]
    ) as server:
        found = await ask(server, *"abcdefgh", temperature=0)
    assert [type(completion.answer) for completion in found[:2]] == [Declined] * 2
    assert [type(completion.error) for completion in found[2:]] == [EndpointError] * 6
    assert all("'temperature' does not support 0" in str(completion.error) for completion in found[2:])
    assert len(server.requests) == 3


@pytest.mark.asyncio
async def test_no_more_are_in_flight_than_the_limits_allow(ask):
    async with FakeServer(latency=0.01) as server:
        await ask(server, *map(str, range(12)), limits=Limits(concurrency=3))
    assert server.most_in_flight <= 3
    assert len(server.requests) == 12
