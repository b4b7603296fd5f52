"""A generate job in the job file: its prompt, messages and schema, and every mistake of theirs with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncrun.jobfile import JobFile

Mistakes = Callable[..., list[str]]
OPEN = "{type: object, properties: {title: {type: string}, points: {type: array}}}"


def job(rest: str) -> str:
    llms = "llms: {small: {provider: openai, model: m}}"
    return f"{llms}\njobs:\n- {{name: short, kind: generate, input: {{items: [a]}}, llm: small, output: o.jsonl, {rest}}}\n"


@pytest.mark.parametrize(
    "rest",
    [
        "prompt: 'Sum up: {text}'",
        "prompt: '{title} ({author.name})'",
        "messages: [{role: system, content: x}, {role: user, content: a}, {role: assistant, content: b}, {role: user, content: '{id}'}]",
        f"prompt: '{{text}}', schema: {OPEN}",
        "prompt: {path: not-looked-into.txt}, schema: {path: not-looked-into.json}",
        "prompt: '{text}', schema: {$defs: {t: {type: string}}, properties: {title: {$ref: '#/$defs/t'}}}",
    ],
)
def test_what_is_asked_can_be_written_in_many_ways(load: Callable[..., JobFile], rest: str) -> None:
    assert load(job(rest)).jobs[0].name == "short"


@pytest.mark.parametrize(
    ("rest", "mistake"),
    [
        ("prompt: 'Sum up: {text'", "jobs[0].prompt: a single '{' is no field; allowed: {text}, {id}, {FIELD} of the row"),
        ("prompt: Hello", "jobs[0].prompt: it names no field of a row, so that every row would be asked the same"),
        ("prompt: '{text}', messages: [{role: user, content: '{text}'}]", "a job asks one thing"),
        ("repair: 1", "a job asks one thing"),
        ("messages: [{role: user, content: '{text}'}, {role: assistant, content: a}]", "jobs[0].messages[1].role: the last message is"),
        ("messages: [{role: user, content: a}, {role: user, content: '{'}]", "jobs[0].messages[1].content: a single '{' is no field"),
        (
            "messages: [{role: user, content: a}, {role: system, content: b}, {role: user, content: '{id}'}]",
            "jobs[0].messages[1].role: only",
        ),
        (
            "system: a, messages: [{role: system, content: b}, {role: user, content: '{id}'}]",
            "jobs[0].messages[0].role: the job has `system`",
        ),
        ("prompt: '{text}', repair: -1", "jobs[0].repair: "),
        ("prompt: '{text}', samples: 0", "jobs[0].samples: "),
        ("prompt: '{text}', embedder: local", "jobs[0].embedder: a job of this kind embeds nothing"),
        ("prompt: '{text}', schema: {type: objct}", "jobs[0].schema.type: no JSON Schema: "),
        ("prompt: '{text}', schema: {properties: {a: {enum: 3}}}", "f:3:133: jobs[0].schema.properties.a.enum: no JSON Schema: "),
        ("prompt: '{text}', schema: {anyOf: [{type: string}, {type: 3}]}", "jobs[0].schema.anyOf[1].type: no JSON Schema: "),
        ("prompt: '{text}', schema: {$ref: 'https://example.com/a.json'}", "jobs[0].schema.$ref: no JSON Schema: it refers to"),
        (
            "prompt: '{text}', schema: {properties: {a: {$ref: '#/$defs/no'}}}",
            "jobs[0].schema.properties.a.$ref: no JSON Schema: it refers",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(mistakes: Mistakes, rest: str, mistake: str) -> None:
    found = mistakes(job(rest))
    assert any(mistake in line for line in found), found
    assert all(line.startswith("f:") for line in found)


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (None, "jobs[0].schema.path: no such file; allowed: a file with a JSON Schema; did you mean 'rows.json'?"),
        ("{", "jobs[0].schema.path: it is not JSON: line 1, column 2 cannot be read"),
        ("[" * 100_000, "jobs[0].schema.path: it is not JSON"),
        ('{"properties": {"a": {"type": "text"}}}', "(at /properties/a/type in the file)"),
        ('{"$ref": "other.json"}', "it refers to 'other.json', and nothing is fetched"),
        ("\udcff", "jobs[0].schema.path: cannot be read; allowed: a readable text in UTF-8"),
    ],
)
def test_the_file_of_a_schema_is_looked_into(mistakes: Mistakes, tmp_path: Path, content: str | None, mistake: str) -> None:
    (tmp_path / "rows.json").write_text("{}")
    if content is not None:
        (tmp_path / "row.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    found = mistakes(job("prompt: '{text}', schema: {path: row.json}"), path=tmp_path / "f", check_inputs=True)
    assert any(mistake in line for line in found), found


def test_the_next_job_reads_fields_of_the_schema(load: Callable[..., JobFile], mistakes: Mistakes, tmp_path: Path) -> None:
    (tmp_path / "row.json").write_text(json.dumps({"type": "object", "properties": {"title": {"type": "string"}}}))
    for schema in (OPEN, "{path: row.json}"):
        first = job(f"prompt: '{{text}}', schema: {schema}")
        good, wrong, whole = (
            f"{first}- {{name: next, kind: embed, output: v.npy, input: {{path: o.jsonl, text: {field}}}}}\n"
            for field in ("'{answer.title}'", "answer.titel", "answer")
        )
        load(good, path=tmp_path / "f", check_inputs=True)
        found = mistakes(wrong, path=tmp_path / "f", check_inputs=True)
        assert any(
            "no field 'answer.titel'; allowed: id, answer.title" in line and "did you mean 'answer.title'?" in line for line in found
        )
        found = mistakes(whole, path=tmp_path / "f", check_inputs=True)
        assert any("the field 'answer' in the rows of the job short is an object, not a text" in line for line in found)
