"""The schema of an answer: what is no schema, what it refers to, and which rule a value breaks."""

from __future__ import annotations

from typing import Any

import pytest

from asyncrun.grammar.answer_schema import MAX_DEPTH, SchemaError, Violation, parse_schema


def test_a_value_that_keeps_the_schema_breaks_no_rule() -> None:
    schema = parse_schema({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False})

    assert schema.violation({"n": 3}) is None
    assert schema.violation({"n": 3.0}) is None, "JSON knows one kind of number"


@pytest.mark.parametrize(
    ("schema", "value", "violation"),
    [
        ({"type": "string"}, 3, Violation("", '"type": "string"')),
        ({"required": ["a", "b"]}, {"a": 1}, Violation("", '"required": ["a", "b"]')),
        ({"additionalProperties": False}, {"z": 1}, Violation("", '"additionalProperties": false')),
        ({"items": {"enum": ["a"]}}, ["a", "b"], Violation("/1", '"enum": ["a"]')),
        ({"properties": {"a/b": {"minimum": 2}}}, {"a/b": 1}, Violation("/a~1b", '"minimum": 2')),
        ({"$defs": {"t": {"type": "null"}}, "properties": {"a": {"$ref": "#/$defs/t"}}}, {"a": 1}, Violation("/a", '"type": "null"')),
        ({"format": "date"}, "tomorrow", Violation("", '"format": "date"')),
        ({"properties": {"a": False}}, {"a": 1}, Violation("/a", '"a": false')),
    ],
)
def test_the_rule_that_is_broken_is_told_in_the_words_of_the_schema(schema: dict[str, Any], value: Any, violation: Violation) -> None:
    assert parse_schema(schema).violation(value) == violation


def test_a_long_rule_is_told_in_short() -> None:
    violation = parse_schema({"enum": [f"value {number}" for number in range(1000)]}).violation("none")

    assert violation is not None
    assert len(violation.rule) < 250


@pytest.mark.parametrize(
    ("document", "place", "words"),
    [
        ("a text", "", "an object"),
        ({"properties": {"a": {"type": "objct"}}}, "/properties/a/type", "objct"),
        ({"properties": 3}, "/properties", "object"),
        ({"const": float("nan")}, "", "JSON cannot hold"),
        ({"const": "\ud800"}, "", "JSON cannot hold"),
        ({"const": {1, 2}}, "", "JSON cannot hold"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(document: Any, place: str, words: str) -> None:
    with pytest.raises(SchemaError, match=words) as caught:
        parse_schema(document)

    assert caught.value.place == place


def test_a_pattern_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(SchemaError, match="regex"):
        parse_schema({"properties": {"a": {"pattern": "("}}})


@pytest.mark.parametrize("target", ["https://example.com/row.json", "file:///etc/hostname", "other.json", "http://127.0.0.1:9/x#/$defs/a"])
def test_nothing_outside_of_the_schema_is_fetched(target: str) -> None:
    with pytest.raises(SchemaError, match="nothing is fetched") as caught:
        parse_schema({"properties": {"a": {"$ref": target}}})

    assert caught.value.place == "/properties/a/$ref"


def test_an_unknown_draft_is_not_fetched() -> None:
    with pytest.raises(SchemaError, match=r"[Uu]nknown"):
        parse_schema({"$schema": "https://example.com/meta", "type": "object"})


def test_a_reference_that_leads_nowhere_is_told() -> None:
    with pytest.raises(SchemaError, match="does not hold") as caught:
        parse_schema({"properties": {"a": {"$ref": "#/$defs/missing"}}})

    assert caught.value.place == "/properties/a/$ref"


def test_a_schema_may_hold_itself() -> None:
    schema = parse_schema({"type": "object", "properties": {"inner": {"$ref": "#"}}, "additionalProperties": False})

    assert schema.violation({"inner": {"inner": {}}}) is None
    assert schema.violation({"inner": {"inner": 3}}) == Violation("/inner/inner", '"type": "object"')


def test_a_schema_that_turns_in_a_circle_ends() -> None:
    assert parse_schema({"$ref": "#"}).violation(1) is None
    assert parse_schema({"anyOf": [{"$ref": "#"}, {"type": "string"}]}).violation("text") is None


def test_an_older_draft_is_read_as_such() -> None:
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"t": {"type": "string"}},
        "items": [{"$ref": "#/definitions/t"}],
    }

    assert parse_schema(document).violation([1]) == Violation("/0", '"type": "string"')


def test_a_deep_schema_is_refused() -> None:
    document: dict[str, Any] = {}
    for _ in range(100_000):
        document = {"not": document}
    with pytest.raises(SchemaError, match=str(MAX_DEPTH)):
        parse_schema(document)


def test_schemas_of_the_same_words_are_equal_and_keep_their_order() -> None:
    one, other = (parse_schema({"properties": {"b": {}, "a": {}}}) for _ in range(2))

    assert one == other
    assert list(one.document["properties"]) == ["b", "a"]
