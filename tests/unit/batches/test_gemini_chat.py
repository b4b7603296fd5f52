"""Gemini's batches are asked and understood in OpenAI's form, which it speaks online; what has no word there is refused."""

from __future__ import annotations

from typing import Any

import pytest

from asyncrun.batches.gemini_chat import from_gemini, to_gemini
from asyncrun.errors import ArgumentError
from asyncrun.llms.openai_replies import read_answer, read_model

HELLO = {"role": "user", "content": "Hello"}


def test_a_conversation_keeps_its_turns_and_its_system() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        HELLO,
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Bye"},
    ]
    assert to_gemini({"model": "m", "messages": messages, "stream": False}) == {
        "contents": [
            {"role": "user", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [{"text": "Hi"}]},
            {"role": "user", "parts": [{"text": "Bye"}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }


@pytest.mark.parametrize(
    ("said", "config"),
    [
        ({"temperature": 0.0, "seed": 7}, {"temperature": 0.0, "seed": 7}),
        ({"max_tokens": 5}, {"maxOutputTokens": 5}),
        ({"max_completion_tokens": 5, "stop": "END"}, {"maxOutputTokens": 5, "stopSequences": ["END"]}),
        ({"stop": ["a", "b"], "top_p": 0.5}, {"stopSequences": ["a", "b"], "topP": 0.5}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "row", "strict": True, "schema": {"type": "object"}}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
    ],
)
def test_settings_have_their_names_there(said: dict[str, Any], config: dict[str, Any]) -> None:
    assert to_gemini({"messages": [HELLO], **said})["generationConfig"] == config


def test_what_has_no_word_there_is_refused() -> None:
    with pytest.raises(ArgumentError, match="cannot be told logit_bias, tools"):
        to_gemini({"messages": [HELLO], "tools": [], "logit_bias": {}})


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter"), ("OTHER", "other")],
)
def test_the_end_of_an_answer_has_the_word_of_online(reason: str, finish: str) -> None:
    reply = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Ab"}, {"text": "c"}]}, "finishReason": reason}]}
    answer = read_answer(from_gemini(reply))
    assert (answer.text, answer.finish_reason) == ("Abc", finish)


def test_a_blocked_prompt_is_an_answer_that_was_filtered() -> None:
    answer = read_answer(from_gemini({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}))
    assert (answer.text, answer.finish_reason, answer.input_tokens) == (None, "content_filter", 4)


def test_what_the_model_thought_is_counted_and_not_shown() -> None:
    reply = {
        "candidates": [{"content": {"parts": [{"text": "Hm", "thought": True}, {"text": "Yes"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2, "thoughtsTokenCount": 30, "totalTokenCount": 42},
        "modelVersion": "gemini-2.5-flash",
    }
    document = from_gemini(reply)
    answer = read_answer(document)
    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("Yes", 10, 32)
    assert document["usage"]["completion_tokens_details"] == {"reasoning_tokens": 30}
    assert read_model(document) == "gemini-2.5-flash"


@pytest.mark.parametrize("reply", [{}, {"candidates": []}, {"candidates": None}])
def test_no_candidates_are_no_answer(reply: dict[str, Any]) -> None:
    assert from_gemini(reply)["choices"] == []
