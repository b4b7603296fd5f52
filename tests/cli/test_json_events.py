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
