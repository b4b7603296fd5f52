"""Answers word by word: nothing is sent twice once a word was told, and whoever stops reading leaves nothing behind."""

import asyncio
import gzip
import random

import orjson
import pytest

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import RetryPolicy
from asyncrun.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler, TokenCountingHandler
from asyncrun.errors import ArgumentError, AuthError, ItemError, OutageError, TokenBudgetError
from asyncrun.llms import ChatModel, Message, OpenAI, OpenAIChat
from asyncrun.llms.several import SeveralChats
from asyncrun.testing.chat import answer_of
from asyncrun.testing.dialects import error_body
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.named import fault
from asyncrun.testing.server import FakeServer

KEY = "sentinel-0123456789abcdef"
WORDS = answer_of(["Why?"])
TOLD = {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}
NEVER_ENDS = Fault(events=lambda events: events[1:], pause=3600.0, times=None)


def model_at(server, **options):
    options.setdefault("retry", RetryPolicy(base=0.001, max_backoff=0.01))
    return OpenAI("m", api_key=KEY, api_base=server.base_url, rng=random.Random(1), **options)


async def deltas(llm, prompt="Why?"):
    return [response.delta async for response in await llm.astream_complete(prompt)]


async def fails(llm, error=ItemError):
    """Read a stream that fails; return the words that came, and the error."""
    came = []
    with pytest.raises(error) as caught:
        async for response in await llm.astream_complete("Why?"):
            came += [response.delta]
    return came, caught.value


@pytest.mark.asyncio
async def test_each_response_has_what_is_new_and_all_so_far_and_the_last_one_the_tokens():
    async with FakeServer(key=KEY) as server, model_at(server) as llm:
        responses = [response async for response in await llm.astream_chat([Message("user", "Why?")])]
        completions = [response async for response in await llm.astream_complete("Why?")]
    assert [response.delta for response in responses] == ["Answer", f" {WORDS.split()[1]}", " out", " of", " nothing.", ""]
    assert [response.message.content for response in responses[1:4]] == [" ".join(WORDS.split()[:count]) for count in (2, 3, 4)]
    assert [response.additional_kwargs for response in responses] == [{}] * 5 + [TOLD]
    assert (str(responses[-1]), responses[-1].finish_reason) == (f"assistant: {WORDS}", "stop")
    assert [(response.text, response.delta) for response in completions] == [(r.message.content, r.delta) for r in responses]
    document = server.requests[0].document
    assert (document["stream"], document["stream_options"]) == (True, {"include_usage": True})
    assert server.connections == 1


def test_without_await_the_same_responses_come_inside_of_a_loop_too():
    with FakeServer(key=KEY).in_thread() as server:
        llm = model_at(server)

        async def inside():
            return [str(response) for response in llm.stream_complete("Why?")]

        texts = [str(response) for response in llm.stream_complete("Why?")]
        assert asyncio.run(inside()) == texts
        assert texts[-1] == WORDS
        assert next(llm.stream_chat([{"role": "user", "content": "Why?"}])).delta == "Answer"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "wrong",
    [
        fault("crash"),
        fault("unavailable"),
        fault("reset"),
        fault("html"),
        Fault(events=lambda events: events[:1], hang_up=True),
        Fault(events=lambda events: events[:1]),
        Fault(events=lambda events: [*events[:1], b"data: {\n\n"]),
        Fault(events=lambda events: [*events[:1], b"data: {}\n\n"]),
        Fault(events=lambda events: [*events[:1], b'event: error\ndata: {"message": "busy"}\n\n']),
        Fault(events=lambda events: [b'data: {"error": {"message": "gone", "code": 503}}\n\n']),
        Fault(body=b"data: nothing", headers={"content-type": "text/event-stream", "content-encoding": "gzip"}),
    ],
)
async def test_what_fails_before_the_first_word_is_asked_again(wrong):
    async with FakeServer(faults=[wrong]) as server, model_at(server) as llm:
        assert "".join(await deltas(llm)) == WORDS
    assert len(server.requests) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (fault("stream_cut", times=None), "the connection ended"),
        (fault("stream_error", times=None), "the upstream failed"),
        (fault("stream_unfinished", times=None), "the stream ends before the answer does"),
        (Fault(events=lambda events: [*events[:3], b"data: \xff\xfe\n\n"], times=None), "not JSON"),
        (Fault(events=lambda events: [*events[:3], b"data: " + b"x" * 2**23], times=None), "larger than"),
        (Fault(events=lambda events: [*events[:3], b'data: {"object": "error", "message": "gone", "code": 503}\n\n'], times=None), "gone"),
        (Fault(events=lambda events: [*events[:3], b'data: {"error": "Rate limit", "code": 429}\n\n'], times=None), "Rate limit"),
    ],
)
async def test_what_fails_after_the_first_word_is_told_and_nothing_is_sent_again(wrong, words):
    async with FakeServer(faults=[wrong]) as server, model_at(server) as llm:
        for requests in (1, 2):
            came, error = await fails(llm)
            assert came == ["Answer", f" {WORDS.split()[1]}"]
            assert len(server.requests) == requests
        assert llm.llm.endpoint.limiter.in_flight == 0
    assert words in str(error)
    assert "it is not asked for again" in str(error)
    assert (error.reason, error.hint) == ("server_error", "Ask again.")


@pytest.mark.asyncio
async def test_secrets_in_the_words_of_a_stream_are_not_shown():
    event = b"data: " + error_body(f"the key {KEY} has expired") + b"\n\n"
    async with FakeServer(faults=[Fault(events=lambda events: [*events[:3], event])]) as server, model_at(server) as llm:
        _, error = await fails(llm)
    assert "has expired" in str(error)
    assert KEY not in str(error)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "events",
    [
        lambda events: [event for event in events if b"[DONE]" not in event],
        lambda events: [b": keep-alive\n\n" + event.replace(b"\n", b"\r\n") for event in events],
        lambda events: [event.replace(b"\n", b"\r") for event in events],
        lambda events: [event.replace(b"data: {", b"data: {\ndata: ") for event in events],
        lambda events: [*events, b"data: {\n\n"],
        lambda events: [b"\xef\xbb\xbfid: 1\nretry: 5\n", *events],
    ],
)
async def test_what_the_rules_of_event_streams_allow_is_read(events):
    async with FakeServer(faults=[Fault(events=events)]) as server, model_at(server, max_retries=0) as llm:
        assert "".join(await deltas(llm)) == WORDS


@pytest.mark.asyncio
async def test_characters_that_are_cut_between_two_pieces_are_whole():
    def change(document):
        document["choices"][0]["message"]["content"] = "\u00e9t\u00e9 \u4f60\u597d \U0001f600"
        return document

    async with FakeServer(faults=[Fault(change=change, drip=0.0001)]) as server, model_at(server, max_retries=0) as llm:
        assert await deltas(llm) == ["\u00e9t\u00e9", " \u4f60\u597d", " \U0001f600", ""]


@pytest.mark.asyncio
async def test_a_server_that_answers_as_a_whole_or_compressed_is_understood():
    whole = orjson.dumps({"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}], "usage": TOLD})
    chunk = b'data: {"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    packed = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    faults = [Fault(body=whole), Fault(body=gzip.compress(chunk), headers=packed)]
    async with FakeServer(faults=faults) as server, model_at(server, max_retries=0) as llm:
        assert [await deltas(llm), await deltas(llm)] == [["Yes.", ""]] * 2


@pytest.mark.asyncio
@pytest.mark.parametrize(("options", "words"), [({"max_silence": 0.1}, "nothing more came for 0.1 s"), ({"timeout": 0.3}, "within 0.3 s")])
async def test_a_silence_and_the_whole_of_an_answer_have_their_limits(options, words):
    async with FakeServer(faults=[NEVER_ENDS]) as server, model_at(server, **options) as llm:
        came, error = await fails(llm)
        assert (came, len(server.requests)) == (["Answer"], 1)
    assert words in str(error)


@pytest.mark.asyncio
async def test_a_slow_server_is_waited_for_while_its_words_come_in_time():
    async with FakeServer(faults=[Fault(pause=0.1)]) as server, model_at(server, max_silence=5) as llm:
        assert "".join(await deltas(llm)) == WORDS


@pytest.mark.asyncio
async def test_whoever_stops_reading_frees_permit_and_connection():
    slow = Fault(pause=0.01, events=lambda events: events[:2] + events[2:-1] * 1000)
    async with FakeServer(faults=[slow]) as server, model_at(server, limits=Limits(concurrency=1)) as llm:
        responses = await llm.astream_complete("Why?")
        assert (await anext(responses)).delta == "Answer"
        assert llm.llm.endpoint.limiter.in_flight == 1
        await responses.aclose()
        assert llm.llm.endpoint.limiter.in_flight == 0
        assert "".join(await deltas(llm)) == WORDS
        assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.asyncio
async def test_others_wait_for_the_first_word_and_not_for_the_last():
    async with FakeServer(faults=[fault("stream_slow", pause=0.2)]) as server, model_at(server) as llm:
        first = asyncio.create_task(deltas(llm))
        while not server.requests:
            await asyncio.sleep(0.001)
        assert (await llm.acomplete("Why?")).text == WORDS
        assert not first.done()
        await first


@pytest.mark.asyncio
async def test_of_several_endpoints_others_are_asked_from_the_first_word_on():
    async with FakeServer(faults=[fault("stream_slow", pause=0.2)]) as server:
        place = OpenAIChat(model="m", base_url=server.base_url)
        async with ChatModel(SeveralChats([place])) as llm:
            first = asyncio.create_task(deltas(llm))
            while not server.requests:
                await asyncio.sleep(0.001)
            assert (await llm.acomplete("Why?")).text == WORDS
            assert not first.done()
            await first


@pytest.mark.asyncio
async def test_with_the_transport_for_http2_a_broken_answer_is_told_too():
    async with FakeServer(faults=[fault("stream_cut", after=1)]) as server, model_at(server, http2=True) as llm:
        assert "".join(await deltas(llm)) == WORDS
        came, error = await fails(llm)
    assert (len(came), len(server.requests)) == (2, 2)
    assert "the connection ended" in str(error)


@pytest.mark.asyncio
async def test_a_stream_is_one_event_with_the_whole_answer():
    debug = LlamaDebugHandler(print_trace_on_end=False)
    manager, responses = CallbackManager([debug]), []
    async with FakeServer(faults=[fault("stream_cut", after=1)]) as server, model_at(server) as llm:
        with manager.as_trace("t"), manager.event(CBEventType.QUERY) as query:
            async for response in await llm.astream_chat([Message("user", "Why?")]):
                responses += [response]
                with manager.event(CBEventType.TEMPLATING):
                    pass
            _, error = await fails(llm)
    (_, end), (_, failed) = debug.get_event_pairs(CBEventType.LLM)
    assert end.payload[EventPayload.RESPONSE] is responses[-1]
    assert (end.payload["tokens"], end.payload["finish_reason"]) == (6, "stop")
    assert failed.payload[EventPayload.EXCEPTION] is error
    # What the reader does between two words is beside the answer, not below it.
    beside = [pair[0].id_ for kind in (CBEventType.LLM, CBEventType.TEMPLATING) for pair in debug.get_event_pairs(kind)]
    assert (len(beside), sorted(manager.trace_map[query.event_id])) == (8, sorted(beside))


def test_a_token_counter_stops_streams_at_its_budget():
    counter = TokenCountingHandler(tokenizer=str.split, token_budget=10)
    with FakeServer().in_thread() as server:
        llm = model_at(server, callback_manager=CallbackManager([counter]))
        assert [response.text for response in llm.stream_complete("Why?")][-1] == WORDS
        with pytest.raises(TokenBudgetError):
            list(llm.stream_complete("Why?"))
        with pytest.raises(TokenBudgetError):
            next(llm.stream_complete("Why?"))
    assert (counter.total_llm_token_count, len(server.requests)) == (12, 2)


@pytest.mark.asyncio
@pytest.mark.parametrize(("provider", "asked"), [("openai", True), ("vllm", True), ("ollama", True), ("mistral", False), ("heroku", False)])
async def test_tokens_are_asked_for_where_the_provider_knows_the_question(provider, asked):
    async with FakeServer() as server, model_at(server, provider=provider) as llm:
        await deltas(llm)
    assert ("stream_options" in server.requests[0].document) is asked


@pytest.mark.asyncio
async def test_a_server_that_does_not_know_the_question_is_asked_without_it_from_then_on():
    unknown = error(
        400, "Unknown parameter: 'stream_options'.", code="unknown_parameter", when=lambda request: b"stream_opt" in request.body
    )
    async with FakeServer(faults=[unknown]) as server, model_at(server) as llm:
        assert await deltas(llm) == await deltas(llm)
    assert ["stream_options" in request.document for request in server.requests] == [True, False, False]


@pytest.mark.asyncio
async def test_what_is_wrong_with_the_endpoint_is_raised_as_elsewhere():
    async with FakeServer(key="another") as server, model_at(server) as llm:
        assert (await fails(llm, AuthError))[0] == []
    async with FakeServer(faults=[fault("crash", times=None)]) as server, model_at(server, max_retries=1) as llm:
        assert (await fails(llm, OutageError))[0] == []
    assert len(server.requests) == 2


@pytest.mark.asyncio
async def test_several_endpoints_stream_and_a_broken_answer_is_not_begun_again_at_another():
    async with FakeServer(faults=[error(401, "no", times=None)]) as bad, FakeServer(faults=[fault("stream_error", after=1)]) as good:
        places = [OpenAIChat(model="m", base_url=server.base_url) for server in (bad, good)]
        async with ChatModel(SeveralChats(places, warn=lambda _: None)) as llm:
            assert "".join(await deltas(llm)) == WORDS
            assert "not asked for again" in str((await fails(llm))[1])
    assert (len(bad.requests), len(good.requests)) == (1, 2)


@pytest.mark.asyncio
async def test_a_model_that_does_not_stream_says_so():
    class Whole:
        def messages(self, prompt):
            return (Message("user", prompt),)

    with pytest.raises(ArgumentError, match="Whole does not stream"):
        await ChatModel(Whole()).astream_complete("Why?")


@pytest.mark.needs("openai")
def test_the_official_sdk_reads_the_same_of_the_fake_server():
    import openai

    question = {"model": "m", "messages": [{"role": "user", "content": "Why?"}], "stream_options": {"include_usage": True}}
    with FakeServer().in_thread() as server:
        ours = list(model_at(server).stream_complete("Why?"))
        with openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
            theirs = list(client.chat.completions.create(stream=True, **question))
        asked, also_asked = (request.document for request in server.requests)
    words = [chunk.choices[0].delta.content for chunk in theirs if chunk.choices and chunk.choices[0].delta.content]
    assert words == [response.delta for response in ours[:-1]]
    assert theirs[-2].choices[0].finish_reason == ours[-1].finish_reason
    counted = theirs[-1].usage.model_dump(include=set(TOLD))
    assert counted == ours[-1].additional_kwargs
    assert asked == also_asked
