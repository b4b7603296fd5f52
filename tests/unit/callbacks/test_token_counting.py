"""The token counter: what embedded texts, prompts and answers hold, and the stop at a budget."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from asyncrun import run_jobs
from asyncrun.callbacks import (
    CallbackManager,
    CBEventType,
    EventPayload,
    StopRunError,
    TokenBudgetError,
    TokenCountingEvent,
    TokenCountingHandler,
)


@dataclass
class Answer:
    """An answer as LlamaIndex's chat models give it."""

    text: str
    raw: Any = None
    additional_kwargs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text


def told(counter: TokenCountingHandler, kind: CBEventType, payload: dict[Any, Any]) -> None:
    with CallbackManager([counter]).event(kind) as event:
        event.on_end(payload)


@pytest.fixture
def counter() -> TokenCountingHandler:
    return TokenCountingHandler(tokenizer=str.split)


def test_every_embedded_text_is_counted(counter: TokenCountingHandler) -> None:
    told(counter, CBEventType.EMBEDDING, {EventPayload.CHUNKS: ["three small words", "one"]})
    assert [(count.prompt, count.total_token_count) for count in counter.embedding_token_counts] == [("three small words", 3), ("one", 1)]
    assert (counter.total_embedding_token_count, counter.total_llm_token_count) == (4, 0)


def test_a_prompt_and_its_completion_are_counted(counter: TokenCountingHandler) -> None:
    told(counter, CBEventType.LLM, {EventPayload.PROMPT: "why is it so", EventPayload.COMPLETION: Answer("because it is")})
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count, counter.total_llm_token_count) == (4, 3, 7)


def test_a_chat_costs_the_words_around_its_messages_too(counter: TokenCountingHandler) -> None:
    messages = [{"role": "system", "content": "be terse"}, {"role": "user", "content": "why"}]
    told(counter, CBEventType.LLM, {EventPayload.MESSAGES: messages, EventPayload.RESPONSE: Answer("because")})
    [count] = counter.llm_token_counts
    assert count == TokenCountingEvent("system: be terse\nuser: why", "because", 1, 3 + 2 + 2 * 4, count.event_id)


@pytest.mark.parametrize(
    "answer",
    [
        Answer("because", raw={"usage": {"prompt_tokens": 70, "completion_tokens": 30}}),
        Answer("because", raw={"usage": {"input_tokens": 70, "output_tokens": 30}}),
        Answer("because", raw={"usage_metadata": {"prompt_token_count": 70, "candidates_token_count": 30}}),
        Answer("because", raw={"usage": None}, additional_kwargs={"prompt_tokens": 70, "completion_tokens": 30}),
    ],
)
@pytest.mark.parametrize("keys", [(EventPayload.PROMPT, EventPayload.COMPLETION), (EventPayload.MESSAGES, EventPayload.RESPONSE)])
def test_what_the_server_says_that_it_has_used_is_believed(
    counter: TokenCountingHandler, answer: Answer, keys: tuple[EventPayload, EventPayload]
) -> None:
    told(counter, CBEventType.LLM, {keys[0]: ["why"], keys[1]: answer})
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (70, 30)


def test_without_a_tokenizer_counts_are_those_of_the_local_model() -> None:
    counter = TokenCountingHandler()
    told(counter, CBEventType.EMBEDDING, {EventPayload.CHUNKS: ["hello world"]})
    assert counter.total_embedding_token_count == 2


def test_counts_begin_anew(counter: TokenCountingHandler) -> None:
    told(counter, CBEventType.EMBEDDING, {EventPayload.CHUNKS: ["one"]})
    told(counter, CBEventType.LLM, {EventPayload.PROMPT: "one", EventPayload.COMPLETION: Answer("two")})
    counter.reset_counts()
    assert (counter.total_embedding_token_count, counter.total_llm_token_count) == (0, 0)


def test_ignored_ends_and_events_without_a_payload_are_not_counted() -> None:
    counter = TokenCountingHandler(tokenizer=str.split, event_ends_to_ignore=[CBEventType.EMBEDDING])
    # As LlamaIndex's manager does, which asks the handler itself.
    counter.on_event_end(CBEventType.EMBEDDING, {EventPayload.CHUNKS: ["one"]})
    counter.on_event_end(CBEventType.LLM)
    assert (counter.total_embedding_token_count, counter.total_llm_token_count) == (0, 0)


def test_verbose_prints_what_each_event_has_used(capsys: pytest.CaptureFixture[str]) -> None:
    counter = TokenCountingHandler(tokenizer=str.split, verbose=True)
    told(counter, CBEventType.EMBEDDING, {EventPayload.CHUNKS: ["one", "two"]})
    told(counter, CBEventType.LLM, {EventPayload.PROMPT: "one", EventPayload.COMPLETION: Answer("two")})
    assert capsys.readouterr().out == "Embedding Token Usage: 2\nLLM Prompt Token Usage: 1\nLLM Completion Token Usage: 1\n"


def test_a_logger_is_told_instead_of_standard_output(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    counter = TokenCountingHandler(tokenizer=str.split, verbose=True, logger=logging.getLogger("tokens"))
    with caplog.at_level(logging.DEBUG, "tokens"):
        told(counter, CBEventType.EMBEDDING, {EventPayload.CHUNKS: ["one"]})
    assert (caplog.messages, capsys.readouterr().out) == (["Embedding Token Usage: 1"], "")


def test_a_budget_stops_the_work_at_the_answer_that_goes_past_it_and_before_the_next_request() -> None:
    counter = TokenCountingHandler(tokenizer=str.split, token_budget=2)
    told(counter, CBEventType.LLM, {EventPayload.PROMPT: "one", EventPayload.COMPLETION: Answer("two")})
    with pytest.raises(TokenBudgetError, match="3 tokens, of 2"):
        told(counter, CBEventType.LLM, {EventPayload.PROMPT: "one", EventPayload.COMPLETION: Answer("")})
    with pytest.raises(ValueError, match="3 tokens, of 2"):
        CallbackManager([counter]).on_event_start(CBEventType.LLM)
    counter.reset_counts()
    CallbackManager([counter]).on_event_start(CBEventType.LLM)


def test_embedded_texts_use_no_budget() -> None:
    counter = TokenCountingHandler(tokenizer=str.split, token_budget=0)
    told(counter, CBEventType.EMBEDDING, {EventPayload.CHUNKS: ["one"]})
    assert (counter.total_embedding_token_count, counter.total_llm_token_count) == (1, 0)


async def answered(manager: CallbackManager, done: list[int], number: int) -> None:
    with manager.event(CBEventType.LLM) as event:
        await asyncio.sleep(0)
        event.on_end({EventPayload.PROMPT: "one", EventPayload.COMPLETION: Answer("two")})
    done.append(number)


@pytest.mark.asyncio
async def test_a_budget_ends_run_jobs_with_nothing_left_running() -> None:
    manager = CallbackManager([TokenCountingHandler(tokenizer=str.split, token_budget=9)])
    done: list[int] = []
    with pytest.raises(StopRunError):
        await run_jobs([answered(manager, done, number) for number in range(50)], workers=2, callback_manager=manager)
    assert len(done) == 4
