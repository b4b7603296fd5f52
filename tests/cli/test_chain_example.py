"""The example of jobs that chain by their files: one run fills all of them, the next one sends nothing, and validate knows the fields."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
CHAIN = Path(__file__).resolve().parents[2] / "examples" / "chain"


@pytest.fixture
def folder(tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(CHAIN, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("CHAIN_URL", server.base_url)
    return tmp_path


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_run_asks_embeds_fills_and_searches(asyncrun: Command, folder: Path) -> None:
    done = asyncrun("run", "jobs.yaml", "--json")
    assert done.code == 0, done.err
    assert [(job["name"], job["status"]) for job in done.documents[-1]["jobs"]] == [
        (name, "succeeded") for name in ("summaries", "vectors", "fill", "ask")
    ]
    summaries = rows(folder / "out/summaries.jsonl")
    assert (summaries[0]["id"], summaries[0]["metadata"]["title"]) == ("purring", "Why cats purr")
    for row in summaries:
        jsonschema.validate(row["answer"], json.loads((CHAIN / "summary.schema.json").read_text()))
    assert (folder / "out/vectors.ids.txt").read_text().split() == ["purring", "tides", "bread"]
    hits = rows(folder / "out/hits.jsonl")
    assert [row["hits"][0]["doc_id"] for row in hits] == ["purring", "tides"]
    assert hits[0]["hits"][0]["metadata"]["answer.topic"] == summaries[0]["answer"]["topic"]
    again = asyncrun("run", "jobs.yaml", "--json").documents[-1]
    assert (again["requests"], again["failed"]) == (0, 0)


def test_validate_knows_the_fields_that_a_schema_gives(asyncrun: Command, folder: Path) -> None:
    assert asyncrun("validate", "jobs.yaml").code == 0
    text = (folder / "jobs.yaml").read_text()
    (folder / "jobs.yaml").write_text(text.replace("text: answer.summary", "text: answer.sumary"))
    told = asyncrun("validate", "--strict", "jobs.yaml")
    assert told.code == 2
    assert "no field 'answer.sumary'" in told.err.replace("\n", " ")
    assert "did you mean 'answer.summary'?" in told.err.replace("\n", " ")
