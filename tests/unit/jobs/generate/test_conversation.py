"""How a row's conversation stands is told by the answers that there are, and by nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.grammar.answer_schema import parse_schema
from asyncrun.grammar.prompt import parse_row_prompt
from asyncrun.jobs.conversations import Ask, Failed, Valid
from asyncrun.jobs.generate.conversation import Generating, MessageTemplate
from asyncrun.llms import OpenAIChat
from asyncrun.records import Answer, Item, Place

SCHEMA = parse_schema({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
ITEM = Item("a", "Rain.", Place("notes.jsonl", 1), {"lang": "en"})
ANSWERS = st.builds(
    Answer,
    st.sampled_from(['{"n": 1}', '{"n": "one"}', "none", "", None]),
    st.sampled_from(["stop", "length", "content_filter", "refusal"]),
)


def generating(**settings: Any) -> Generating:
    llm = OpenAIChat(model="m", base_url="http://127.0.0.1:9/v1", environ={})
    template = MessageTemplate("user", parse_row_prompt("In {lang}: {text}"))
    return Generating(llm, (), (template,), **{"schema": SCHEMA, **settings})


@given(st.lists(ANSWERS, max_size=5), st.integers(0, 3))
def test_however_answers_come_the_end_is_the_same_and_no_wrong_one_counts(given_answers: list[Answer], repair: int) -> None:
    asking = generating(repair=repair)
    [talk] = asking.asked(ITEM).conversations
    found: dict[bytes, Answer] = {}
    asked: list[bytes] = []
    for answer in given_answers:
        state = asking.settle(talk, found.get)
        if not isinstance(state, Ask):
            break
        asked.append(state.conversation.key)
        found[state.conversation.key] = answer
    # One request a turn, each a conversation of its own, and none more than was allowed.
    assert len(set(asked)) == len(asked) <= repair + 1
    state = asking.settle(talk, found.get)
    assert repr(state) == repr(asking.settle(talk, dict(reversed(found.items())).get))
    if isinstance(state, Valid):
        assert state.value == {"n": 1}
        assert list(state.answers) == [found[key] for key in asked]
        assert json.loads(state.answers[-1].text or "") == state.value
        assert state.answers[-1].finish_reason == "stop"
    elif isinstance(state, Failed):
        assert state.answered
        assert state.attempts == len(asked)
    else:
        assert state.conversation.key not in found
        assert len(state.conversation.messages) == 1 + 2 * len(asked)


def test_a_repair_holds_the_wrong_answer_and_the_mistake() -> None:
    asking = generating()
    [talk] = asking.asked(ITEM).conversations
    state = asking.settle(talk, {talk.key: Answer('{"n": "one"}', "stop")}.get)
    assert isinstance(state, Ask)
    question, wrong, again = state.conversation.messages
    assert (question.content, wrong.role, wrong.content) == ("In en: Rain.", "assistant", '{"n": "one"}')
    assert "/n" in again.content


@pytest.mark.parametrize(
    "other",
    [{"schema": None}, {"schema": parse_schema({"type": "object"})}, {"samples": 2}, {"repair": 2}],
    ids=["none", "other", "samples", "repair"],
)
def test_another_schema_is_another_question_and_repairs_and_samples_are_not(other: dict[str, Any]) -> None:
    first, second = (generating(**settings).asked(ITEM).conversations[0].key for settings in ({}, other))
    assert (first == second) is ("schema" not in other)


def test_samples_are_questions_of_their_own() -> None:
    talks = generating(samples=3).asked(ITEM).conversations
    assert [talk.seed for talk in talks] == [None, 1, 2]
    assert len({talk.key for talk in talks}) == 3


def test_without_a_schema_a_text_that_was_cut_off_is_a_row_that_says_so() -> None:
    asking = generating(schema=None)
    [talk] = asking.asked(ITEM).conversations
    state = asking.settle(talk, {talk.key: Answer("It rains and", "length", 9, 3)}.get)
    assert isinstance(state, Valid)
    assert asking.asked(ITEM).row([state]) == {
        "id": "a",
        "answer": "It rains and",
        "finish_reason": "length",
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
        "metadata": {"lang": "en"},
    }


def test_what_a_provider_does_not_hold_its_answers_to_is_said_before_it_is_asked():
    [note] = generating().schema_notes
    assert "`additionalProperties: false`" in note
    closed = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
    assert generating(schema=parse_schema(closed)).schema_notes == ()
    assert generating(schema=None).schema_notes == ()
