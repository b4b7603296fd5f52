"""What a chat model's reply says: the answer, why it ended, what it used; nothing is made up."""

import pytest

from asyncrun.endpoints.replies import BadReplyError
from asyncrun.llms.openai_replies import AnswerStream, read_answer, read_model
from asyncrun.records import Answer


def reply(message, reason="stop", **more):
    return {"choices": [{"message": message, "finish_reason": reason}], **more}


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls", "function_call", "something new"])
def test_the_servers_word_for_the_end_is_kept(reason):
    assert read_answer(reply({"content": "Yes."}, reason)) == Answer("Yes.", reason)


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        (reply({"content": None}, "content_filter"), Answer(None, "content_filter")),
        (reply({"content": None, "tool_calls": []}, "tool_calls"), Answer(None, "tool_calls")),
        (reply(None, "content_filter"), Answer(None, "content_filter")),
        (reply({"content": None, "refusal": "I cannot."}, "stop"), Answer("I cannot.", "refusal")),
        (reply({"content": "Yes.", "refusal": None}, None), Answer("Yes.", None)),
        (reply({"content": ""}, "stop"), Answer("", "stop")),
        (
            reply({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Yes"}, {"type": "text", "text": "."}]}),
            Answer("Yes.", "stop"),
        ),
    ],
)
def test_an_answer_may_be_null_refused_or_in_parts(document, answer):
    assert read_answer(document) == answer


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}, (20, 3)),
        ({"completion_tokens": 3, "total_tokens": 23}, (20, 3)),
        ({"prompt_tokens": 20}, (20, 0)),
        ({"prompt_tokens": None, "completion_tokens": -1, "total_tokens": "many"}, (0, 0)),
        (None, (0, 0)),
        ([], (0, 0)),
    ],
)
def test_tokens_are_what_the_server_counts_and_else_none(usage, counts):
    answer = read_answer(reply({"content": "Yes."}, usage=usage))
    assert (answer.input_tokens, answer.output_tokens) == counts


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (
            {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
            | {"prompt_tokens_details": {"cached_tokens": 80}, "completion_tokens_details": {"reasoning_tokens": 40}},
            (100, 50, 40, 80),
        ),
        # Gemini has what was thought in the total alone, and may tell it apart as well.
        ({"prompt_tokens": 20, "completion_tokens": 151, "total_tokens": 553}, (20, 533, 382, 0)),
        ({"prompt_tokens": 21, "total_tokens": 81, "completion_tokens_details": {"reasoning_tokens": 60}}, (21, 60, 60, 0)),
        ({"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64}, (100, 5, 0, 64)),
        # Nonsense is not believed.
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}}, (10, 5, 0, 10)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 99}}, (10, 5, 5, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": [], "completion_tokens_details": None}, (10, 5, 0, 0)),
    ],
)
def test_what_was_thought_and_what_was_cached_is_a_part_of_the_whole(usage, counts):
    answer = read_answer(reply({"content": "Yes."}, usage=usage))
    assert (answer.input_tokens, answer.output_tokens, answer.reasoning_tokens, answer.cached_tokens) == counts


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("model_length", "length"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("STOP", "stop"),
    ],
)
def test_a_vendors_own_word_is_ours(theirs, ours):
    assert read_answer(reply({"content": "Yes."}, theirs)).finish_reason == ours


def test_what_a_tool_is_called_with_is_the_answer_where_it_takes_one():
    def calls(name):
        return {"content": None, "tool_calls": [{"type": "function", "function": {"name": name, "arguments": '{"a": 1}'}}]}

    assert read_answer(reply(calls("row"), "tool_calls")) == Answer('{"a": 1}', "stop")
    assert read_answer(reply(calls("row"), "length")) == Answer('{"a": 1}', "length")
    assert read_answer(reply(calls("other"), "tool_calls")) == Answer(None, "tool_calls")


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        {"choices": []},
        {"choices": None},
        {"choices": ["Yes."]},
        {"choices": [{}]},
        {"choices": [{"message": {"content": None}}]},
        {"choices": [{"message": {"content": 7}, "finish_reason": None}]},
        {"data": [{"embedding": [1.0]}]},
    ],
)
def test_another_shape_is_no_answer(document):
    with pytest.raises(BadReplyError):
        read_answer(document)


def streamed(*chunks):
    """The words that are told of a stream, and what has become of it."""
    words = []
    stream = AnswerStream(words.append)
    for chunk in chunks:
        stream.add(chunk)
    return words, read_answer(stream.document())


def chunk(content=None, reason=None, **more):
    return {"choices": [{"index": 0, "delta": {"content": content} if content is not None else {}, "finish_reason": reason}], **more}


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(
    ("chunks", "words", "answer"),
    [
        ([chunk(""), chunk("Yes"), chunk("."), chunk(reason="stop")], ["Yes", "."], Answer("Yes.", "stop")),
        ([chunk("Yes."), chunk(reason="length"), {"choices": [], "usage": USAGE}], ["Yes."], Answer("Yes.", "length", 3, 2)),
        ([chunk("Yes.", "stop", usage=USAGE)], ["Yes."], Answer("Yes.", "stop", 3, 2)),
        ([{"choices": [], "prompt_filter_results": []}, chunk("Yes.", "stop")], ["Yes."], Answer("Yes.", "stop")),
        ([chunk("Yes.", usage=USAGE), chunk(reason="stop", usage=None)], ["Yes."], Answer("Yes.", "stop", 3, 2)),
        ([chunk([{"type": "text", "text": "Yes."}]), chunk(reason="stop")], ["Yes."], Answer("Yes.", "stop")),
        ([chunk("Yes."), {"choices": [{"index": 1, "delta": {"content": "No."}}]}, chunk(reason="stop")], ["Yes."], Answer("Yes.", "stop")),
        ([{"choices": [{"delta": {"refusal": "I cannot."}}]}, chunk(reason="stop")], ["I cannot."], Answer("I cannot.", "refusal")),
        ([chunk(reason="content_filter")], [], Answer(None, "content_filter")),
        ([{"choices": [{"delta": {"tool_calls": [{}]}}]}, chunk(reason="tool_calls")], [], Answer(None, "tool_calls")),
        ([{"choices": [{"delta": None, "finish_reason": "stop"}, None]}], [], Answer(None, "stop")),
    ],
)
def test_the_chunks_of_a_stream_are_the_answer_that_would_have_come_whole(chunks, words, answer):
    assert streamed(*chunks) == (words, answer)


def test_a_stream_names_its_model_as_a_whole_reply_does():
    stream = AnswerStream(lambda _: None)
    stream.add(chunk("Yes.", model="gpt-2026-10"))
    stream.add(chunk(reason="stop", model=None))
    assert read_model(stream.document()) == "gpt-2026-10"
    assert [read_model(document) for document in ({}, {"model": 7}, None, [])] == [None] * 4


@pytest.mark.parametrize("chunks", [[], [chunk("Yes.")], [{}], [None], [[]], [{"choices": None}], [{"choices": {"delta": {}}}]])
def test_a_stream_without_its_end_or_in_another_shape_is_no_answer(chunks):
    with pytest.raises(BadReplyError):
        streamed(*chunks)
