"""Plain JSON: valid by the schema that is published, and safe to show."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.trace_json import plain_document

SCHEMA = Path(__file__).resolve().parents[3] / "docs" / "trace.schema.json"
NOW = 1_795_486_525.0


@pytest.fixture
def schema() -> Any:
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("trace", ["nightly", "failing", "trying"])
def test_every_run_is_valid(schema: Any, number: int, trace: str, runs: list[RunRecord], request: pytest.FixtureRequest) -> None:
    document = json.loads(json.dumps(plain_document(runs[number], request.getfixturevalue(trace), NOW)))
    schema.validate(document)
    assert document["spans"]


@pytest.mark.parametrize("name", ["run_id", "settings", "lost_spans"])
def test_a_document_without_a_promised_name_is_not_valid(schema: Any, name: str, runs: list[RunRecord]) -> None:
    document = plain_document(runs[0], [], NOW)
    del document["run"][name]
    assert not schema.is_valid(document)


def test_no_control_character_and_no_lone_surrogate_goes_out(runs: list[RunRecord], failing: list) -> None:
    text = json.dumps(plain_document(runs[1], failing, NOW), ensure_ascii=False)
    text.encode()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", text)
