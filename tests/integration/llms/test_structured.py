"""A schema goes out in the form that a server takes, and a server that does not know one is asked in another, once."""

import asyncio
import json

import pytest

from asyncrun.llms.http_chat import HttpChat
from asyncrun.llms.interface import BatchLlm, Declined, Message, StructuredLlm
from asyncrun.llms.several import SeveralChats
from asyncrun.records import Answer
from asyncrun.testing import Chat, FakeServer, Fault, Said, in_turn
from asyncrun.testing.chat import answer_of
from asyncrun.testing.faults import error

CLOSED = {"type": "object", "properties": {"kind": {"enum": ["cat", "dog"]}}, "required": ["kind"], "additionalProperties": False}
OPEN = {"type": "object", "properties": {"kind": {"type": "string"}}}


async def ask(server, *prompts, schema=CLOSED, **options):
    async with HttpChat(**{"model": "m", "base_url": server.base_url, **options}) as llm:
        return await asyncio.gather(*(llm.complete(llm.messages(prompt), schema=schema) for prompt in prompts or ["Which?"]))


def forms(server):
    """How each request has told of the schema."""
    return [
        told["type"]
        if (told := request.document.get("response_format"))
        else "tool"
        if "tools" in request.document
        else "words"
        if "JSON Schema" in request.document["messages"][0]["content"]
        else None
        for request in server.requests
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("provider", ["openai", "mistral", "gemini", "ollama", "vllm", "llamacpp", "lmstudio", "litellm"])
async def test_most_take_the_form_of_openai(provider):
    async with FakeServer() as server:
        [found] = await ask(server, provider=provider)
    assert json.loads(found.answer.text)["kind"] in ("cat", "dog")
    [request] = server.requests
    assert request.document["response_format"] == {"type": "json_schema", "json_schema": {"name": "row", "strict": True, "schema": CLOSED}}


@pytest.mark.asyncio
async def test_what_strict_mode_would_refuse_is_sent_without_it():
    async with FakeServer() as server:
        await ask(server, schema=OPEN)
    assert server.requests[0].document["response_format"]["json_schema"]["strict"] is False


@pytest.mark.asyncio
async def test_where_formats_work_in_part_a_tool_takes_the_answer():
    async with FakeServer() as server:
        [found] = await ask(server, provider="heroku")
    assert forms(server) == ["tool"]
    assert json.loads(found.answer.text)["kind"] in ("cat", "dog")
    assert found.answer.finish_reason == "stop"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (["json_schema"], ["json_schema", "json_object"]),
        (["json_schema", "json_object"], ["json_schema", "json_object", "words"]),
        (["response_format"], ["json_schema", "json_object", "words"]),
    ],
)
async def test_a_server_that_knows_no_schemas_is_asked_in_other_forms_once(refused, expected):
    async with FakeServer(chat=Chat(refuses=refused)) as server:
        found = await ask(server, *"abcdef")
        assert forms(server) == [*expected, *[expected[-1]] * 5]
    assert all(json.loads(completion.answer.text)["kind"] in ("cat", "dog") for completion in found)
    assert [completion.usage.requests for completion in found] == [len(expected), 1, 1, 1, 1, 1]


@pytest.mark.asyncio
async def test_many_that_are_refused_at_once_learn_one_step_and_not_one_each():
    async with FakeServer(chat=Chat(refuses=["json_schema"]), latency=0.02) as server, HttpChat(model="m", base_url=server.base_url) as llm:
        await llm.complete(llm.messages("first"))
        await asyncio.gather(*(llm.complete(llm.messages(prompt), schema=CLOSED) for prompt in "abcdef"))
        assert set(forms(server)[7:]) == {"json_object"}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "words",
    [
        "Invalid schema for response_format 'row': In context=(), 'required' is required to be supplied.",
        "litellm.UnsupportedParamsError: m does not support parameters: ['response_format']",
        '"type" must be one of "text" or "json_object", but got: json_schema',
        "failed to parse grammar",
        "The model `m` with json_schema is not supported",
    ],
)
async def test_a_refusal_is_known_by_its_words(words):
    async with FakeServer(faults=[error(400, words)]) as server:
        [found] = await ask(server)
    assert isinstance(found.answer, Answer)
    assert forms(server) == ["json_schema", "json_object"]


@pytest.mark.asyncio
async def test_a_list_is_never_asked_for_as_an_object():
    async with FakeServer(chat=Chat(refuses=["json_schema"])) as server:
        [found] = await ask(server, schema={"type": "array", "items": {"type": "integer"}})
    assert forms(server) == ["json_schema", "words"]
    assert isinstance(found.answer, Answer)


@pytest.mark.asyncio
async def test_without_a_schema_words_about_one_teach_nothing():
    async with FakeServer(faults=[error(400, "Invalid schema for response_format", times=None)]) as server:
        [found] = await ask(server, schema=None)
    assert isinstance(found.answer, Declined)
    assert len(server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(("provider", "name"), [("openai", "seed"), ("mistral", "random_seed")])
async def test_a_seed_has_the_providers_name_and_one_that_is_not_known_is_left_out(provider, name):
    async with FakeServer() as server, HttpChat(model="m", provider=provider, base_url=server.base_url) as llm:
        await llm.complete(llm.messages("Why?"), seed=7)
        assert server.requests[0].document[name] == 7
    async with FakeServer(chat=Chat(refuses=[name])) as server, HttpChat(model="m", provider=provider, base_url=server.base_url) as llm:
        found = [await llm.complete(llm.messages("Why?"), seed=7) for _ in range(2)]
    assert [completion.answer.text for completion in found] == [answer_of(["Why?"])] * 2
    assert [name in request.document for request in server.requests] == [True, False, False]


@pytest.mark.asyncio
async def test_what_was_thought_and_what_was_cached_is_counted():
    said = Said("Yes.", cached_tokens=1, reasoning_tokens=9)
    async with FakeServer(chat=Chat(answer=in_turn(said))) as server:
        [found] = await ask(server, "Why so?", schema=None)
    assert found.answer == Answer("Yes.", "stop", input_tokens=2, output_tokens=10, reasoning_tokens=9, cached_tokens=1)


@pytest.mark.asyncio
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_reply_that_another_has_fetched_is_read_as_one_that_came_at_once(provider):
    async with FakeServer() as server, HttpChat(model="m", provider=provider, base_url=server.base_url) as llm:
        assert isinstance(llm, StructuredLlm)
        assert isinstance(llm, BatchLlm)
        messages = [Message("user", "Why?")]
        body = llm.request_body(messages, schema=CLOSED, seed=1)
        replies = []
        server.faults.append(Fault(change=lambda document: replies.append(document) or document))
        online = await llm.complete(messages, schema=CLOSED, seed=1)
    assert {**body, "stream": False} == server.requests[0].document
    assert llm.read_reply(replies[0]).answer == online.answer
    assert llm.read_reply(replies[0]).usage.tokens == online.usage.tokens


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"error": {"message": "the upstream failed"}}, "bad_response"),
        ({"type": "error", "error": {"type": "api_error", "message": "boom"}}, "bad_response"),
        ({"error": {"message": "This model's maximum context length is 10 tokens"}}, "too_long"),
        ({"choices": []}, "bad_response"),
        ([], "bad_response"),
        (None, "bad_response"),
        ("\x1b[31m", "bad_response"),
    ],
)
def test_a_reply_that_is_no_answer_is_declined(document, reason):
    llm = HttpChat(model="m", base_url="http://localhost:1/v1")
    declined = llm.read_reply(document).answer
    assert (type(declined), declined.reason) == (Declined, reason)


def test_a_filtered_reply_is_an_answer_that_says_so():
    llm = HttpChat(model="m", base_url="http://localhost:1/v1")
    reply = {"error": {"code": "content_filter", "message": "The response was filtered due to content management policy."}}
    assert llm.read_reply(reply).answer == Answer(None, "content_filter")


@pytest.mark.asyncio
async def test_several_endpoints_are_asked_in_the_same_way():
    async with FakeServer() as one, FakeServer(chat=Chat(refuses=["json_schema"])) as other:
        llm = SeveralChats([HttpChat(model="m", base_url=server.base_url) for server in (one, other)])
        found = await asyncio.gather(*(llm.complete(llm.messages(prompt), schema=CLOSED, seed=1) for prompt in "abcdefgh"))
        await llm.aclose()
    assert all(json.loads(completion.answer.text)["kind"] in ("cat", "dog") for completion in found)
    assert all(request.document["seed"] == 1 for request in (*one.requests, *other.requests))
    assert isinstance(llm, StructuredLlm)
    assert isinstance(llm, BatchLlm)


@pytest.mark.asyncio
async def test_a_limit_of_several_endpoints_is_held_with_the_schema_counted():
    counted = []

    class Counting(HttpChat):
        def tokens_of(self, messages, schema=None):
            counted.append(schema)
            return super().tokens_of(messages, schema)

    async with FakeServer() as server:
        llm = SeveralChats([Counting(model="m", base_url=server.base_url)])
        for prompt in "ab":
            await llm.complete(llm.messages(prompt), schema=CLOSED)
        await llm.aclose()
    assert counted == [CLOSED]
