"""Which schemas a provider holds its answers to, and the sentence about each that it does not."""

import pytest

from asyncrun.llms.schema_rules import ANTHROPIC, AZURE, GEMINI, STRICT, misfits

TEXT = {"type": "string"}


def closed(**properties):
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def nested(levels):
    return closed(a=nested(levels - 1)) if levels > 1 else closed(a=TEXT)


RECURSIVE = {
    **closed(node={"$ref": "#/$defs/node"}),
    "$defs": {"node": closed(child={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})},
}
NOT_RECURSIVE = {**closed(a={"$ref": "#/$defs/text"}, b={"$ref": "#/$defs/text"}), "$defs": {"text": TEXT}}


@pytest.mark.parametrize(
    ("rules", "schema"),
    [
        (STRICT, closed(a=TEXT, b={"type": ["string", "null"]}, c={"enum": ["x"]}, d={"type": "array", "items": closed(e=TEXT)})),
        (STRICT, closed(a={"type": "integer", "minimum": 1}, b={"type": "string", "pattern": "^a"})),
        (STRICT, nested(10)),
        (STRICT, RECURSIVE),
        (AZURE, nested(5)),
        (ANTHROPIC, {**closed(a=TEXT, b={"type": "array", "items": TEXT, "minItems": 1}), "required": ["a"]}),
        (ANTHROPIC, NOT_RECURSIVE),
        (GEMINI, {"type": "array", "items": TEXT}),
        (GEMINI, {"type": "object", "title": "A row", "properties": {"a": {"type": "integer", "minimum": 1}}}),
    ],
)
def test_what_keeps_the_rules_has_no_note(rules, schema):
    assert list(misfits(schema, rules)) == []


@pytest.mark.parametrize(
    ("rules", "schema", "words"),
    [
        (STRICT, {"type": "array", "items": TEXT}, "answers with an object: the schema's type is 'array'"),
        (STRICT, {**closed(a=TEXT), "required": []}, "wants every property required: a is not"),
        (STRICT, closed(a={"type": "object", "properties": {}}), "wants `additionalProperties: false` at properties.a"),
        (STRICT, closed(a={"not": TEXT}), "does not know `not` at properties.a"),
        (STRICT, closed(a={"type": "array", "items": {"allOf": [TEXT]}}), "does not know `allOf` at properties.a.items"),
        (STRICT, nested(11), "takes at most 10 levels: there are 11"),
        (STRICT, closed(a={"enum": [*range(1001)]}), "takes at most 1,000 values under `enum`: there are 1,001"),
        (STRICT, closed(**{f"p{number}": TEXT for number in range(5001)}), "takes at most 5,000 properties: there are 5,001"),
        (AZURE, nested(6), "takes at most 5 levels: there are 6"),
        (AZURE, closed(a={"type": "string", "pattern": "^a"}), "does not know `pattern` at properties.a"),
        (ANTHROPIC, closed(a={"type": "string", "maxLength": 5}), "does not know `maxLength` at properties.a"),
        (ANTHROPIC, closed(a={"type": "integer", "minimum": 1}), "does not know `minimum` at properties.a"),
        (ANTHROPIC, closed(a={"type": "array", "minItems": 2}), "knows `minItems` of 0 and 1 alone at properties.a"),
        (ANTHROPIC, RECURSIVE, "takes no schema that holds itself"),
        (ANTHROPIC, closed(a={"$ref": "#"}), "takes no schema that holds itself"),
        (ANTHROPIC, {**closed(**{f"p{n}": TEXT for n in range(25)}), "required": []}, "takes at most 24 properties that are not required"),
        (GEMINI, {"type": "string", "pattern": "^a"}, "does not know `pattern`"),
        (GEMINI, {"anyOf": [{"const": 1}]}, "does not know `const` at anyOf.0"),
    ],
)
def test_what_breaks_them_is_said_with_its_place(rules, schema, words):
    [sentence, *_] = misfits(schema, rules)
    assert sentence.startswith(rules.title)
    assert words in sentence


@pytest.mark.parametrize(
    "schema", [{}, {"properties": None, "type": 7}, {"$defs": [], "anyOf": "x", "required": None, "enum": 1}, {"items": True}]
)
def test_what_is_no_schema_raises_nothing(schema):
    for rules in (STRICT, AZURE, ANTHROPIC, GEMINI):
        assert all(isinstance(sentence, str) for sentence in misfits(schema, rules))


def test_a_schema_as_deep_as_json_may_be_is_looked_at():
    schema = TEXT
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    assert any("levels: there are 5,000" in sentence for sentence in misfits(schema, STRICT))
