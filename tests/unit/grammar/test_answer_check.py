"""What an answer is: a value that keeps its schema, a mistake that can be told, or a reason why there is nothing."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun.grammar.answer_check import Accepted, Unusable, Wrong, check_answer, repair_message
from asyncrun.grammar.answer_schema import MAX_DEPTH, parse_schema
from tests.depth import DEEP, times

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
        "more": {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
SCHEMA = parse_schema(PERSON)
ANYTHING = parse_schema({})
GOOD = '{"name": "Ada", "age": 36}'


@pytest.mark.parametrize(
    "text", [GOOD, f"\n  {GOOD}\n", f"```json\n{GOOD}\n```", f"```\n{GOOD}\n```\n", f"```JSON\r\n{GOOD}\r\n```", f"```json\n{GOOD}```"]
)
def test_a_value_that_keeps_the_schema_is_accepted(text: str) -> None:
    assert check_answer(text, "stop", SCHEMA) == Accepted({"name": "Ada", "age": 36})
    assert check_answer(text, None, SCHEMA) == Accepted({"name": "Ada", "age": 36})


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("Ada is 36.", "", "line 1, column 1"),
        (f"Here it is: {GOOD}", "", "not JSON"),
        (f"{GOOD} I hope that helps!", "", "line 1, column 28"),
        (f"Sure.\n```json\n{GOOD}\n```", "", "not JSON"),
        (f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```", "", "not JSON"),
        (GOOD[:-3], "", "not JSON"),
        ("{'name': 'Ada', 'age': 36}", "", "not JSON"),
        ("[]", "", '"type": "object"'),
        ('{"name": "Ada", "age": "36"}', "/age", '"type": "integer"'),
        ('{"name": "Ada"}', "", '"required": ["name", "age"]'),
        ('{"name": "Ada", "age": 36, "extra": 1}', "", '"additionalProperties": false'),
        ('{"name": "Ada", "age": 36, "tags": ["a", "z"]}', "/tags/1", '"enum": ["a", "b"]'),
        ('{"name": "Ada", "age": 36, "age": 37}', "", 'the key "age" twice'),
        ('{"name": "Ada", "age": NaN}', "", "NaN"),
        ('{"name": "Ada", "age": -Infinity}', "", "-Infinity"),
        ('{"name": "Ada", "age": 1e999}', "", "too large"),
        (f'{{"name": "Ada", "age": {"9" * 5000}}}', "", "too large"),
        ('{"name": "Ada", "age": 18446744073709551616}', "", "too large"),
        ('{"name": "\\ud800", "age": 1}', "", "half a character"),
        ('{"name": "\ud800", "age": 1}', "", "half a character"),
        ('{"\\udfff": "Ada", "age": 1}', "", "half a character"),
        ('{"name": "a\nb", "age": 1}', "", "not JSON"),
        ("\ufeff" + GOOD, "", "not JSON"),
        ("[" * 100_000, "", f"{MAX_DEPTH} levels"),
        ("[" * 1000 + "]" * 1000, "", f"{MAX_DEPTH} levels"),
        ('{"a":' * 1000, "", f"{MAX_DEPTH} levels"),
    ],
)
def test_a_wrong_answer_is_told_with_its_place(text: str, place: str, words: str) -> None:
    wrong = check_answer(text, "stop", SCHEMA)

    assert isinstance(wrong, Wrong)
    assert wrong.place == place
    assert words in wrong.mistake
    assert len(repair_message(wrong)) < 700


def test_a_pair_of_surrogates_written_as_escapes_is_one_character() -> None:
    assert check_answer('"\\ud83d\\ude00"', "stop", ANYTHING) == Accepted("😀")


def test_brackets_within_texts_nest_nothing() -> None:
    texts = ["[{" * 1000, '\\"[' * 100]

    assert check_answer(json.dumps(texts), "stop", ANYTHING) == Accepted(texts)
    assert check_answer(json.dumps([[]] * 1000), "stop", ANYTHING) == Accepted([[]] * 1000)


@pytest.mark.parametrize("largest", [2**64 - 1, -(2**63), 1.5e300, 0.1])
def test_numbers_that_64_bits_hold_are_kept_exactly(largest: float) -> None:
    assert check_answer(json.dumps(largest), "stop", ANYTHING) == Accepted(largest)


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        (GOOD, "length", "cut_off"),
        ('{"name": "A', "length", "cut_off"),
        ("", "max_tokens", "cut_off"),
        ("", "stop", "empty_answer"),
        (None, "stop", "empty_answer"),
        (" \n", "stop", "empty_answer"),
        ("I cannot help with that.", "refusal", "refused"),
        (None, "refusal", "refused"),
        (None, "content_filter", "filtered"),
        (GOOD, "content_filter", "filtered"),
    ],
)
def test_what_is_no_answer_has_its_reason(text: str | None, finish_reason: str, reason: str) -> None:
    checked = check_answer(text, finish_reason, SCHEMA)

    assert isinstance(checked, Unusable)
    assert checked.reason == reason


def test_the_words_of_a_refusal_are_told_in_short() -> None:
    checked = check_answer("I cannot.\x1b[31m " + "No. " * 10_000, "refusal", SCHEMA)

    assert isinstance(checked, Unusable)
    assert checked.message.startswith("the model refuses: I cannot.\\x1b[31m No.")
    assert len(checked.message) < 400


def test_without_a_schema_an_answer_is_its_text() -> None:
    assert check_answer(" Yes.\n", "stop") == Accepted(" Yes.\n")
    assert check_answer("It was", "length") == Accepted("It was"), "its finish reason says that it is not whole"
    assert check_answer("I cannot.", "refusal") == Unusable("refused", "the model refuses: I cannot.")
    assert check_answer(" ", "stop") == Unusable("empty_answer", "the model has answered nothing")


def test_a_repair_says_the_same_of_the_same_mistake() -> None:
    one, other = (check_answer('{"name": "", "age": -1}', "stop", parse_schema(PERSON)) for _ in range(2))

    assert isinstance(one, Wrong)
    assert isinstance(other, Wrong)
    assert repair_message(one) == repair_message(other)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(list(range(1_400_000))),
        '"' + "a" * 10_000_000,
        '\\"' * 5_000_000,
        "[" * 10_000_000,
        "```json\n" + " " * 10_000_000 + "x```",
        "9" * 10_000_000,
        '{"name": "' + "a" * 10_000_000 + '", "age": "x"}',
    ],
    ids=["numbers", "open text", "escapes", "brackets", "spaces", "digits", "wrong"],
)
@pytest.mark.skipif(not DEEP, reason="ten megabytes, seven times: ASYNCRUN_TEST_DEEP=1")
def test_ten_megabytes_come_to_an_end_and_are_not_sent_back(text: str) -> None:
    checked = check_answer(text, "stop", SCHEMA)

    assert isinstance(checked, Unusable)
    assert checked.reason == "bad_answer"
    assert len(checked.message) < 700


def test_a_pattern_that_goes_back_and_forth_ends() -> None:
    schema = parse_schema({"pattern": "^(?=a)(a+)+$"})

    assert isinstance(check_answer(json.dumps("a" * 200 + "b"), "stop", schema), Wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "age", "tags", "more"]) | st.text(), inner, max_size=4)
    ),
)
NEARLY = st.builds(
    lambda value, cut, fence: (f"```json\n{json.dumps(value)}\n```" if fence else json.dumps(value))[: -cut or None],
    JSON | st.fixed_dictionaries({"name": JSON | st.just("Ada"), "age": JSON | st.integers(0, 99)}),
    st.sampled_from([0, 0, 0, 1, 5]),
    st.booleans(),
)
ANSWERS = st.text(st.characters()) | st.text('{}[]",:0123456789.eE-+ \n\\u`nametruefalsNIity') | NEARLY
REFERENCE = jsonschema.Draft202012Validator(PERSON)


@settings(max_examples=times(quick=100, deep=3000), deadline=None)
@given(text=ANSWERS, finish_reason=st.sampled_from(["stop", None, "tool_calls", "length"]))
def test_whatever_is_answered_no_invalid_value_is_accepted(text: str, finish_reason: str | None) -> None:
    checked = check_answer(text, finish_reason, SCHEMA)

    if isinstance(checked, Accepted):
        assert REFERENCE.is_valid(checked.value)
        assert json.loads(json.dumps(checked.value, allow_nan=False)) == checked.value
    elif isinstance(checked, Wrong):
        repair_message(checked).encode()


@settings(max_examples=times(quick=50, deep=1000), deadline=None)
@given(value=st.fixed_dictionaries({"name": st.text(), "age": st.integers(-5, 99)}, optional={"tags": st.lists(st.sampled_from("abc"))}))
def test_what_is_valid_for_another_validator_is_accepted(value: dict[str, Any]) -> None:
    assert isinstance(check_answer(json.dumps(value), "stop", SCHEMA), Accepted) == REFERENCE.is_valid(value)
