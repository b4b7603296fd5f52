"""A job that reads another job's rows names fields that will be there, and that are texts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from asyncrun.jobfile import JobFile
from asyncrun.jobfile.row_fields import kind_of, schema_fields

Mistakes = Callable[..., list[str]]


def chain(reader: str, writer: str = "kind: embed, input: {items: [a]}", output: str = "rows.jsonl") -> str:
    return f"jobs:\n- {{name: first, {writer}, output: {output}}}\n- {{name: second, kind: embed, output: o.jsonl, input: {reader}}}\n"


@pytest.mark.parametrize(
    "reader",
    [
        "rows.jsonl",
        "{path: rows.jsonl, text: text}",
        "{path: rows.jsonl, text: '{id}: {text}'}",
        "{path: rows.jsonl, text: metadata.title}",
        "{path: rows.jsonl, format: text, text: whatever}",
        "{path: 'rows*.jsonl', text: whatever}",
    ],
)
def test_fields_that_are_there_or_may_be_are_no_mistakes(load: Callable[..., JobFile], reader: str) -> None:
    assert len(load(chain(reader)).jobs) == 2


@pytest.mark.parametrize(
    ("reader", "mistake"),
    [
        (
            "{path: rows.jsonl, text: txt}",
            "f:3:80: jobs[1].input.text: the rows of the job first have no field 'txt'; allowed: id, text; did you mean 'text'?",
        ),
        (
            "{path: rows.jsonl, text: embedding}",
            "jobs[1].input.text: the field 'embedding' in the rows of the job first is a list, not a text",
        ),
        ("{path: rows.jsonl, id: key}", "jobs[1].input.id: the rows of the job first have no field 'key'"),
        ("{path: rows.jsonl, text: '{text} {body}'}", "jobs[1].input.text: the rows of the job first have no field 'body'"),
        ("{path: rows.jsonl, text: id.x}", "jobs[1].input.text: the rows of the job first have no field 'id.x'"),
    ],
)
def test_a_field_that_will_not_be_there_is_told_before(mistakes: Mistakes, reader: str, mistake: str) -> None:
    found = mistakes(chain(reader))
    assert [line for line in found if mistake in line], found
    assert len(found) == 1


def test_the_usual_field_that_is_not_there_is_told_too(mistakes: Mistakes) -> None:
    ask = "kind: query, input: {items: [a]}, collection: c"
    found = mistakes(chain("rows.jsonl", ask))
    assert [
        line for line in found if "jobs[1].input: the rows of the job first have no field 'text'; name another one as input.text" in line
    ]


def test_columns_of_the_output_count(load: Callable[..., JobFile], mistakes: Mistakes) -> None:
    load(chain("{path: rows.jsonl, text: text}", output="{path: rows.jsonl, columns: [id, text]}"))
    found = mistakes(chain("{path: rows.jsonl, text: text}", output="{path: rows.jsonl, columns: [id, embedding]}"))
    assert [line for line in found if "have no field 'text'; allowed: id" in line]


def test_the_value_of_a_variable_is_not_shown(mistakes: Mistakes) -> None:
    found = mistakes("vars: {field: hidden-word}\n" + chain("{path: rows.jsonl, text: '${field}'}"))
    assert len(found) == 1
    assert "hidden-word" not in found[0]


@pytest.mark.parametrize(
    ("schema", "name", "kind"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}}, "x.a", "text"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, "x.b", "missing"),
        ({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}, "x.a", "unknown"),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, "x.b", "unknown"),
        ({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "integer"}}}}}, "x.a.b", "text"),
        ({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "integer"}}}}}, "x.a", "object"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {}}}, "x.a", "unknown"),
        ({"type": "object"}, "x.a", "unknown"),
        ({"type": "array"}, "x", "list"),
        ({"type": "string"}, "x", "text"),
        ({"type": "string"}, "x.a", "missing"),
        (True, "x.a", "unknown"),
    ],
)
def test_what_a_schema_tells_of_a_field(schema: object, name: str, kind: str) -> None:
    assert kind_of(name, {"x": schema_fields(schema)}) == kind
