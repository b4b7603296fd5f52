"""`asyncrun generate`: one answer a row without a job file, and a job file that is kept."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": False}
ASK = ("-p", "Sum up: {text}", "-m", "ollama/m")


@pytest.fixture
def notes(tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OLLAMA_HOST", server.base_url.removesuffix("/v1"))
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one", "lang": "en"}\n{"id": "b", "text": "two", "lang": "de"}\n')
    (tmp_path / "row.schema.json").write_text(json.dumps(SCHEMA))
    return tmp_path


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_become_answers_and_nothing_is_asked_twice(asyncrun: Command, notes: Path) -> None:
    assert asyncrun("generate", "notes.jsonl", "-o", "out/short.jsonl", *ASK, "--metadata", "lang").code == 0
    made = rows(notes / "out/short.jsonl")
    assert [(row["id"], row["metadata"], row["finish_reason"]) for row in made] == [
        ("a", {"lang": "en"}, "stop"),
        ("b", {"lang": "de"}, "stop"),
    ]
    again = asyncrun("generate", "notes.jsonl", "-o", "out/short.jsonl", *ASK, "--metadata", "lang", "--json").documents[-1]
    assert (again["ok"], again["cached"], again["requests"]) == (2, 2, 0)


def test_the_kept_job_file_is_the_same_job(asyncrun: Command, notes: Path) -> None:
    words = ("generate", "notes.jsonl", "-o", "short.jsonl", *ASK, "--system", "Be brief: 5 $.", "--save", "jobs/short.yaml")
    assert asyncrun(*words).code == 0
    assert asyncrun("run", "jobs/short.yaml", "--json").documents[-1]["cached"] == 2
    kept = (notes / "jobs/short.yaml").read_text()
    assert '    llm: {provider: "ollama", model: "m"}\n    system: "Be brief: 5 $$."\n    prompt: "Sum up: {text}"\n' in kept


def test_answers_keep_a_schema_from_a_file(asyncrun: Command, notes: Path) -> None:
    words = ("generate", "notes.jsonl", "-o", "short.jsonl", *ASK, "--schema", "row.schema.json")
    assert asyncrun(*words).code == 0
    assert [set(row["answer"]) for row in rows(notes / "short.jsonl")] == [{"title"}, {"title"}]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nope.jsonl", "-o", "v.jsonl", *ASK), "INPUT: 'nope.jsonl': no such file; did you mean 'notes.jsonl'?"),
        (("notes.jsonl", "-o", "notes.jsonl", *ASK), "--output: the output is an input of this job"),
        (("notes.jsonl", "-o", "v.jsonl", "-p", "{text}", "-m", "olama/m"), "--llm: "),
        (("notes.jsonl", "-o", "v.jsonl", "-p", "{text}", "-m", "openai"), "--llm"),
        (("notes.jsonl", "-o", "v.jsonl", "-p", "{text", "-m", "ollama/m"), "--prompt: a single '{' is no field"),
        (("notes.jsonl", "-o", "v.jsonl", "-p", "Hello", "-m", "ollama/m"), "--prompt: it names no field of a row"),
        (("notes.jsonl", "-o", "v.jsonl", *ASK, "--schema", "nope.json"), "--schema: no such file"),
        (("notes.jsonl", "-o", "v.jsonl", *ASK, "--schema", "notes.jsonl"), "--schema: it is not JSON"),
        (("notes.jsonl", "-o", "v.jsonl", "-p", "{text}"), "--llm"),
        (("notes.jsonl", "-o", "v.jsonl", "-m", "ollama/m"), "--prompt"),
    ],
)
def test_a_mistake_is_told_in_the_words_of_the_call(asyncrun: Command, notes: Path, words: tuple[str, ...], told: str) -> None:
    answer = asyncrun("generate", *words, "--save", "job.yaml")
    assert answer.code == 2
    assert told in answer.err.replace("\n", " ")
    assert "jobs[0]" not in answer.err
    assert sorted(path.name for path in notes.iterdir()) == ["notes.jsonl", "row.schema.json"]


def test_an_object_is_json_in_the_columns_of_a_table(asyncrun: Command, notes: Path) -> None:
    for name in ("short.csv", "short.parquet"):
        assert asyncrun("generate", "notes.jsonl", "-o", name, *ASK, "--schema", "row.schema.json").code == 0
    with (notes / "short.csv").open(newline="") as file:
        answers = [row["answer"] for row in csv.DictReader(file)]
    assert pq.read_table(notes / "short.parquet")["answer"].to_pylist() == answers
    assert [set(json.loads(answer)) for answer in answers] == [{"title"}, {"title"}]
