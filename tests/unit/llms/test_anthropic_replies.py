"""What Anthropic's reply says: the answer, why it ended, what it used; nothing is made up."""

import pytest

from asyncrun.endpoints.replies import BadReplyError
from asyncrun.llms.anthropic_replies import MessageStream, read_message
from asyncrun.records import Answer


def reply(*content, reason="end_turn", **more):
    return {"type": "message", "content": list(content), "stop_reason": reason, **more}


def text(words):
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause_turn"),
        ("something new", "something new"),
    ],
)
def test_why_it_ended_is_told_in_one_vocabulary_and_a_new_word_stays(theirs, ours):
    assert read_message(reply(text("Yes."), reason=theirs)) == Answer("Yes.", ours)


TOOL = {"type": "tool_use", "id": "1", "name": "row", "input": {"kind": "cat"}}


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        (reply(text("Yes"), text(".")), Answer("Yes.", "stop")),
        (reply({"type": "thinking", "thinking": "Hm."}, text("Yes.")), Answer("Yes.", "stop")),
        (reply(text("Here:"), TOOL, reason="tool_use"), Answer('{"kind":"cat"}', "stop")),
        (reply(TOOL, reason="max_tokens"), Answer('{"kind":"cat"}', "length")),
        (reply({**TOOL, "name": "other"}, reason="tool_use"), Answer(None, "tool_calls")),
        (reply(reason="refusal", stop_details={"category": "bio", "explanation": "I cannot."}), Answer("I cannot.", "refusal")),
        (reply(reason="refusal", stop_details=None), Answer(None, "refusal")),
        (reply(), Answer(None, "stop")),
    ],
)
def test_an_answer_may_be_in_parts_in_a_tool_or_refused(document, answer):
    assert read_message(document) == answer


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"input_tokens": 3, "output_tokens": 2}, (3, 2, 0)),
        ({"input_tokens": 3, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 2}, (113, 2, 100)),
        ({"input_tokens": None, "output_tokens": -1}, (0, 0, 0)),
        (None, (0, 0, 0)),
    ],
)
def test_what_went_in_is_told_in_three_parts(usage, counts):
    answer = read_message(reply(text("Yes."), usage=usage))
    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens) == counts


@pytest.mark.parametrize("document", [{}, [], None, {"content": "Yes."}, {"content": [None]}, {"choices": []}])
def test_another_shape_is_no_answer(document):
    with pytest.raises(BadReplyError):
        read_message(document)


START = {"type": "message_start", "message": {"model": "claude-2026", "content": [], "stop_reason": None, "usage": {"input_tokens": 3}}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}


def piece(words):
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}}


def test_the_events_of_a_stream_are_the_answer_that_would_have_come_whole():
    words = []
    stream = MessageStream(words.append)
    for event in (START, {"type": "ping"}, {"type": "something new"}, piece("Yes"), piece("."), END, {"type": "message_stop"}):
        stream.add(event)
    assert words == ["Yes", "."]
    assert read_message(stream.document()) == Answer("Yes.", "stop", 3, 2)
    assert stream.document()["model"] == "claude-2026"


@pytest.mark.parametrize("events", [[], [START, piece("Yes.")], [None], [{}], [[]]])
def test_a_stream_without_its_end_or_in_another_shape_is_no_answer(events):
    stream = MessageStream(lambda _: None)
    with pytest.raises(BadReplyError):
        for event in events:
            stream.add(event)
        stream.document()
