"""LlamaIndex's methods of a chat model: answers with and without `await`, and what each call tells."""

from types import SimpleNamespace

import pytest

from asyncrun.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler, TokenCountingHandler
from asyncrun.errors import ArgumentError, AuthError, ItemError, TokenBudgetError
from asyncrun.llms import ChatResponse, CompletionResponse, Message, OpenAI
from asyncrun.testing.chat import answer_of
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer

KEY = "sentinel-0123456789abcdef"
TOLD = {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}


@pytest.fixture
def debug():
    return LlamaDebugHandler(print_trace_on_end=False)


@pytest.fixture
def server():
    with FakeServer(key=KEY).in_thread() as server:
        yield server


def model_at(server, **options):
    return OpenAI("m", api_key=KEY, api_base=server.base_url, **options)


def test_a_prompt_is_answered_without_await_and_again_afterwards(server):
    llm = model_at(server, system_prompt="Be brief.", max_tokens=50, additional_kwargs={"seed": 1})
    answer = answer_of(["Be brief.", "Why?"], seed=1)
    expected = CompletionResponse(answer, "stop", TOLD | {"prompt_tokens": 3, "total_tokens": 8})
    assert [llm.complete("Why?"), llm.complete("Why?")] == [expected, expected]
    assert str(llm.complete("Why?")) == answer
    assert server.requests[0].document["max_completion_tokens"] == 50
    assert server.requests[0].document["seed"] == 1


QUESTIONS = [
    Message("user", "Why?"),
    {"role": "user", "content": "Why?"},
    SimpleNamespace(role=SimpleNamespace(value="user"), content="Why?"),
]


@pytest.mark.parametrize("message", QUESTIONS)
def test_messages_of_any_form_are_answered(server, message):
    response = model_at(server).chat([message, Message("assistant", "Because."), message])
    assert isinstance(response, ChatResponse)
    assert (response.message.role, response.message.content) == ("assistant", answer_of(["Why?", "Because.", "Why?"]))
    roles = [sent["role"] for sent in server.requests[0].document["messages"]]
    assert roles == ["user", "assistant", "user"]


@pytest.mark.asyncio
async def test_a_call_tells_what_was_asked_and_what_came_back(debug):
    async with FakeServer() as server, OpenAI("m", api_base=server.base_url, callback_manager=CallbackManager([debug])) as llm:
        question = Message("user", "Why?")
        response = await llm.achat([question])
        completion = await llm.acomplete("Why?")
    (start, end), (_, second_end) = debug.get_event_pairs(CBEventType.LLM)
    assert start.payload[EventPayload.MESSAGES] == [question]
    assert (start.payload[EventPayload.MODEL_NAME], start.payload[EventPayload.SERIALIZED]["class_name"]) == ("m", "OpenAI")
    assert end.payload[EventPayload.RESPONSE] is response
    assert (end.payload["tokens"], end.payload["input_tokens"], end.payload["output_tokens"]) == (6, 1, 5)
    assert (second_end.payload[EventPayload.PROMPT], second_end.payload[EventPayload.COMPLETION]) == ("Why?", completion)


def test_a_token_counter_believes_the_server_and_stops_at_its_budget(server):
    counter = TokenCountingHandler(tokenizer=str.split, token_budget=10)
    llm = model_at(server, callback_manager=CallbackManager([counter]))
    llm.complete("Why?")
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (1, 5)
    with pytest.raises(TokenBudgetError):
        llm.chat([Message("user", "Why?")])
    assert counter.total_llm_token_count == 12


def test_what_is_wrong_is_raised_and_told(debug):
    with FakeServer(faults=[error(401, "no")]).in_thread() as server:
        llm = OpenAI("m", api_base=server.base_url, max_retries=0, callback_manager=CallbackManager([debug]))
        with pytest.raises(AuthError):
            llm.complete("Why?")
        with pytest.raises(ItemError, match="context"):
            llm.complete("word " * 9000)
    assert [type(end.payload[EventPayload.EXCEPTION]) for _, end in debug.get_event_pairs(CBEventType.LLM)] == [AuthError, ItemError]


def test_an_answer_without_a_text_says_why():
    def change(document):
        document["choices"][0] |= {"message": {"content": None}, "finish_reason": "content_filter"}
        return document

    with FakeServer(faults=[Fault(change=change)]).in_thread() as server:
        response = OpenAI("m", api_base=server.base_url).complete("Why?")
    assert (response.text, response.finish_reason) == ("", "content_filter")


def test_the_address_has_the_name_that_llamaindex_gives_it():
    with pytest.raises(ArgumentError, match="OpenAI takes no base_url") as refused:
        OpenAI("m", base_url="http://127.0.0.1:1/v1")
    assert "api_base" in str(refused.value.hint)


def test_half_a_character_is_refused_before_anything_is_sent(server):
    llm = model_at(server)
    for ask in (llm.complete, lambda text: list(llm.stream_complete(text))):
        with pytest.raises(ItemError, match="half a surrogate pair"):
            ask("half \ud83d")
    assert server.requests == []


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "60"])
def test_a_timeout_that_is_no_time_is_refused(timeout):
    with pytest.raises(ArgumentError, match=r"the timeout is .*, and must be more than 0 seconds"):
        OpenAI("m", timeout=timeout)
