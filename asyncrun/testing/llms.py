"""The contract suite of chat models: subclass `LlmContract`, give it the fixture `llm`, and run it with pytest-asyncio."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

import asyncio
import json

import pytest

from asyncrun.llms.interface import BatchLlm, Completion, Declined, Llm, StreamingLlm, StructuredLlm
from asyncrun.records import Answer

PROMPTS = [f"What is {number} and {number}? Answer in one word." for number in range(5)]


SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"], "additionalProperties": False}


async def answered(llm: Llm, prompt: str) -> Completion:
    """Return the answer to a prompt."""
    return await llm.complete(llm.messages(prompt))


class LlmContract:
    """What every chat model promises. The fixture `llm` returns one that answers; what it cannot be made to do wrong is not asked here.

    >>> from asyncrun.llms import OpenAIChat
    >>> from asyncrun.testing import FakeServer
    >>> class TestMine(LlmContract):
    ...     @pytest.fixture
    ...     def llm(self):
    ...         with FakeServer().in_thread() as server:
    ...             yield OpenAIChat(model="m", base_url=server.base_url)
    """

    def test_messages_end_with_the_prompt_as_the_users(self, llm: Llm) -> None:
        *before, last = llm.messages(PROMPTS[0])
        assert (last.role, last.content) == ("user", PROMPTS[0])
        assert all(message.role == "system" for message in before)

    def test_what_can_be_used_is_not_refused_and_has_room_for_a_call(self, llm: Llm) -> None:
        llm.check()
        assert llm.workers >= 1
        assert llm.model_name

    def test_the_space_is_the_same_each_time(self, llm: Llm) -> None:
        assert llm.space == llm.space
        assert llm.space.provider

    @pytest.mark.asyncio
    async def test_an_answer_is_a_text_or_says_why_there_is_none(self, llm: Llm) -> None:
        answer = (await answered(llm, PROMPTS[0])).answer
        assert isinstance(answer, Answer)
        assert answer.text or answer.finish_reason

    @pytest.mark.asyncio
    async def test_what_it_took_is_counted(self, llm: Llm) -> None:
        completion = await answered(llm, PROMPTS[0])
        assert completion.usage.requests >= 1
        assert 0 <= completion.usage.retries < completion.usage.requests
        assert completion.usage.tokens >= 0
        assert completion.usage.cost is None or completion.usage.cost >= 0

    @pytest.mark.asyncio
    async def test_what_a_stream_tells_is_the_answer(self, llm: Llm) -> None:
        if not isinstance(llm, StreamingLlm):
            pytest.skip("it does not stream")
        pieces: list[str] = []
        completion = await llm.stream(llm.messages(PROMPTS[0]), pieces.append)
        assert isinstance(completion.answer, Answer)
        assert "".join(pieces) == (completion.answer.text or "")
        assert completion.usage.requests >= 1

    @pytest.mark.asyncio
    async def test_tokens_that_were_thought_or_cached_are_a_part_of_the_others(self, llm: Llm) -> None:
        answer = (await answered(llm, PROMPTS[0])).answer
        assert isinstance(answer, Answer)
        assert 0 <= answer.cached_tokens <= answer.input_tokens
        assert 0 <= answer.reasoning_tokens <= answer.output_tokens

    @pytest.mark.asyncio
    async def test_a_schema_and_a_seed_are_taken_and_the_answer_is_a_text(self, llm: Llm) -> None:
        if not isinstance(llm, StructuredLlm):
            pytest.skip("it takes no schema")
        assert all(isinstance(note, str) for note in llm.schema_notes(SCHEMA))
        answer = (await llm.complete(llm.messages(PROMPTS[0]), schema=SCHEMA, seed=1)).answer
        assert isinstance(answer, Answer)
        assert answer.text or answer.finish_reason

    def test_the_request_of_a_batch_is_json_and_the_same_each_time(self, llm: Llm) -> None:
        if not isinstance(llm, BatchLlm):
            pytest.skip("its requests cannot be written for a batch")
        bodies = [llm.request_body(llm.messages(PROMPTS[0]), schema=SCHEMA, seed=1) for _ in range(2)]
        assert bodies[0] == bodies[1] == json.loads(json.dumps(bodies[0]))
        assert "stream" not in bodies[0]
        assert llm.request_body(llm.messages(PROMPTS[1])) != llm.request_body(llm.messages(PROMPTS[0]))

    @pytest.mark.parametrize("document", [None, [], {}, "", 7, {"error": {"message": "no"}}, {"error": "no"}], ids=str)
    def test_what_is_no_reply_is_declined_and_raises_nothing(self, llm: Llm, document: object) -> None:
        if not isinstance(llm, BatchLlm):
            pytest.skip("its requests cannot be written for a batch")
        completion = llm.read_reply(document)
        assert isinstance(completion.answer, Declined)
        assert completion.answer.reason

    @pytest.mark.asyncio
    async def test_many_ask_at_once_and_each_has_an_answer(self, llm: Llm) -> None:
        completions = await asyncio.gather(*(answered(llm, prompt) for prompt in PROMPTS * llm.workers))
        assert len(completions) == len(PROMPTS) * llm.workers
        assert all(isinstance(completion.answer, Answer) for completion in completions)

    @pytest.mark.asyncio
    async def test_a_call_that_is_cancelled_ends_and_the_next_one_works(self, llm: Llm) -> None:
        await answered(llm, PROMPTS[0])
        call = asyncio.ensure_future(answered(llm, PROMPTS[1]))
        await asyncio.sleep(0)
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert isinstance((await answered(llm, PROMPTS[2])).answer, Answer)

    @pytest.mark.asyncio
    async def test_connections_are_renewed_and_closed_twice_and_made_again(self, llm: Llm) -> None:
        await answered(llm, PROMPTS[0])
        await llm.renew_connections()
        await answered(llm, PROMPTS[1])
        await llm.aclose()
        await llm.aclose()
        assert isinstance((await answered(llm, PROMPTS[2])).answer, Answer)
