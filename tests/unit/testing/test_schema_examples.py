"""What the fake chat model says under a schema fits it, and is always the same."""

import jsonschema_rs
import pytest

from asyncrun.testing.schema_examples import example_of

TREE = {
    "$ref": "#/$defs/node",
    "$defs": {"node": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}},
}
LIST = {
    "$ref": "#/$defs/link",
    "$defs": {
        "link": {"type": "object", "required": ["next"], "properties": {"next": {"anyOf": [{"$ref": "#/$defs/link"}, {"type": "null"}]}}}
    },
}
SCHEMAS = [
    {"type": "string", "minLength": 40, "maxLength": 41},
    {"type": "string", "maxLength": 3},
    {"type": "string", "format": "date"},
    {"type": "integer", "minimum": 5, "maximum": 5},
    {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 3},
    {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 20},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMaximum": -5},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
    {"type": "array", "maxItems": 0},
    {"type": ["null", "string"]},
    {"enum": [1, "a", None]},
    {"const": {"a": [1]}},
    {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["a", "b"]}]},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "object", "required": ["c"]}}, "required": ["b", "z"]},
    TREE,
    LIST,
    {},
    True,
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_an_example_fits_its_schema_and_is_the_same_for_the_same_words(schema):
    validator = jsonschema_rs.validator_for(schema)
    for words in ("Why?", "Who?", "", "\ud800"):
        value = example_of(schema, words)
        validator.validate(value)
        assert example_of(schema, words) == value


def test_other_words_have_other_answers():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}
    assert len({str(example_of(schema, str(number))) for number in range(50)}) > 30
