"""The JSON documents: names and units that other programs read."""

from __future__ import annotations

import json

from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.trace_json import runs_document, trace_document

from .conftest import HOSTILE, STARTED


def test_the_list_of_runs(runs: list[RunRecord]) -> None:
    document = json.loads(json.dumps(runs_document(runs, now=STARTED + 25)))
    assert document["schema"] == 1
    assert document["runs"][0] == {
        "run_id": "20261122-021500-0a01",
        "started": "2026-11-22T02:15:00.000000Z",
        "status": "succeeded",
        "exit_code": 0,
        "seconds": 100.0,
        "items": None,
        "cost": None,
    }
    assert [run["status"] for run in document["runs"]] == ["succeeded", "partial", "unfinished", "running"]
    assert document["runs"][2]["exit_code"] is None


def test_one_run(runs: list[RunRecord], maker) -> None:
    job = maker.add("async_job", 0, None, name=HOSTILE)
    maker.add("embedding", 0.5, 2, job, tokens=12)
    document = json.loads(json.dumps(trace_document(runs[1], maker.spans, now=STARTED)))
    assert document["run"]["lost_spans"] == 7
    assert document["run"]["partial"] is True
    assert document["run"]["summary"]["items"] == 10
    assert document["spans"][0]["name"] == HOSTILE
    assert (document["spans"][0]["end"], document["spans"][0]["seconds"]) == (None, None)
    assert document["spans"][1] == {
        "id": 2,
        "parent": 1,
        "type": "embedding",
        "name": "",
        "start": "2026-11-24T02:15:00.500000Z",
        "end": "2026-11-24T02:15:02.000000Z",
        "seconds": 1.5,
        "status": "succeeded",
        "attributes": {"tokens": 12},
    }
