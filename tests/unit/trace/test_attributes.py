"""What of a payload is stored: numbers and short texts, never the texts of documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.callbacks import CBEventType, EventPayload
from asyncrun.results import Status
from asyncrun.trace.attributes import dump_attributes, pick_attributes, read_payload, texts_in
from asyncrun.usage import Waits

SECRET_TEXT = "the text of a document"


@pytest.mark.parametrize(
    ("payload", "picked"),
    [
        (None, {}),
        ({"tokens": 3, "seconds": 0.5, "cached": True}, {"tokens": 3, "seconds": 0.5, "cached": True}),
        ({EventPayload.MODEL_NAME: "small", EventPayload.TOP_K: 5}, {"model_name": "small", "top_k": 5}),
        ({EventPayload.CHUNKS: ["a", "b"]}, {"chunks.count": 2}),
        ({"waits": Waits(rate=1.5)}, {f"waits.{name}": 0.0 for name in Waits.__slots__} | {"waits.rate": 1.5}),
        ({"usage": {"tokens": 3, "words": "no"}}, {"usage.tokens": 3}),
        ({"status": Status.PARTIAL, "kind": CBEventType.LLM}, {"status": "partial", "kind": "llm"}),
        ({EventPayload.EXCEPTION: ValueError("odd")}, {"error.type": "ValueError", "error.message": "odd"}),
        ({"long": "x" * 201, "none": None, "object": object()}, {}),
    ],
)
def test_picked(payload: dict[Any, Any] | None, picked: dict[str, Any]) -> None:
    assert pick_attributes(payload) == picked


@pytest.mark.parametrize("key", [*EventPayload, "text", "texts", "query", "question", "prompt", "answer", "content", "document"])
def test_texts_are_never_taken(key: str) -> None:
    if key in (EventPayload.MODEL_NAME, EventPayload.TOP_K, EventPayload.EXCEPTION):
        return
    for value in (SECRET_TEXT, [SECRET_TEXT], {SECRET_TEXT: SECRET_TEXT}, {"text": SECRET_TEXT}):
        assert SECRET_TEXT not in repr(pick_attributes({key: value}))


def test_texts_are_taken_where_they_are_asked_for_the_first_of_many_and_their_beginnings() -> None:
    payload = {EventPayload.CHUNKS: [f"text {number}" for number in range(9)], "query": "x" * 9000, "answer": None, "model": "m"}
    picked = read_payload(payload, texts=True)
    assert texts_in(picked) == ["text 0", "text 1", "text 2", "text 3", "text 4", "x" * 1000]
    assert (picked["chunks.count"], picked["model"]) == (9, "m")
    assert texts_in(read_payload(payload)) == []


@given(
    st.dictionaries(st.sampled_from(["text", "chunks", "other"]), st.none() | st.integers() | st.text() | st.lists(st.text() | st.none()))
)
def test_whatever_stands_under_a_key_for_texts_can_be_read(payload: dict[str, Any]) -> None:
    picked = read_payload(payload, texts=True)
    assert "payload.unreadable" not in picked
    assert len(texts_in(picked)) <= 2 * 5


def test_dumped_texts_are_cleaned_and_nothing_makes_them_invalid() -> None:
    attributes = {"a": "x", "nan": float("nan"), "inf": float("inf"), "huge": 1 << 80, "n": 1}
    assert json.loads(dump_attributes(attributes, str.upper) or b"") == {"A": "X", "N": 1}
    assert dump_attributes({}, str.upper) is None


@given(st.dictionaries(st.text(), st.one_of(st.booleans(), st.integers(), st.floats(), st.text())))
def test_any_payload_becomes_json(payload: dict[str, Any]) -> None:
    dumped = dump_attributes(pick_attributes(payload), lambda text: text.encode("utf-8", "replace").decode())
    assert dumped is None or isinstance(json.loads(dumped), dict)
