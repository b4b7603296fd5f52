"""`run --json` as a program reads it: every line is as the published schema says, whatever happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "events.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("items", "flags", "code", "types"),
    [
        (["one", "two"], (), 0, {"run_started", "job_started", "job_finished", "summary"}),
        (["one", ""], (), 3, {"run_started", "job_started", "item_failed", "job_finished", "summary"}),
        (["one", "two"], ("--max-runtime", "1ms"), 75, {"run_started", "job_finished", "summary"}),
        (["one", "two"], ("--executor", "processes"), 0, {"run_started", "job_started", "job_finished", "summary"}),
    ],
)
def test_every_line_is_as_the_schema_says(
    asyncrun: Command, server: FakeServer, tmp_path: Path, items: list[str], flags: tuple[str, ...], code: int, types: set[str]
) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "on_empty": "fail"}
    job = {"name": "n", "kind": "embed", "input": {"items": items}, "output": "out.jsonl", "embedder": embedder, "max_failures": "50%"}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    answer = asyncrun("run", "--json", *flags)
    assert answer.code == code
    for event in answer.documents:
        Draft202012Validator(SCHEMA).validate(event)
    assert types <= {event["type"] for event in answer.documents}
    assert answer.documents[-1]["type"] == "summary"
    assert [worker["calls"] for worker in answer.documents[-1].get("workers", [])] == ([1] if "--executor" in flags else [])


@pytest.mark.parametrize("command", ["run", "plan", "validate", "failed", "retry", "doctor"])
def test_a_mistaken_job_file_is_told_to_a_program_as_json(asyncrun: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "jobs.yaml").write_text(
        "jobs:\n  - {name: a, kind: embedd}\n  - {name: a b, kind: embed, input: {items: [x]}, output: b.jsonl}\n"
    )
    answer = asyncrun(command, "--json")
    if command == "doctor":  # It goes on, and has its own document.
        assert (answer.code, len(answer.documents[0]["mistakes"])) == (1, 2)
        return
    assert (answer.code, answer.err) == (2, "")
    [error] = answer.documents
    Draft202012Validator(SCHEMA).validate(error)
    first, second = error["mistakes"]
    assert (first["file"], first["line"], first["column"], first["path"], first["suggestion"]) == (
        "jobs.yaml",
        2,
        21,
        "jobs[0].kind",
        "embed",
    )
    assert (second["line"], second["path"]) == (3, "jobs[1].name")


@pytest.mark.parametrize(
    ("words", "said"), [(["run", "--nonsense"], "--nonsense"), (["run", "nowhere.yaml"], "nowhere.yaml"), (["trace"], "no run")]
)
def test_a_call_that_cannot_be_carried_out_is_told_to_a_program_as_json(asyncrun: Command, words: list[str], said: str) -> None:
    answer = asyncrun(*words, "--json")
    assert (answer.code, answer.err) == (2, "")
    [error] = answer.documents
    Draft202012Validator(SCHEMA).validate(error)
    assert said in json.dumps(error)
