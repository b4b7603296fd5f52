"""The views as documents: names and units that other programs read."""

from __future__ import annotations

import json

from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.trace_json import diff_document, errors_document, slow_document, timeline_document


def test_a_timeline(runs: list[RunRecord], maker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    maker.add("embedding", 0, 5, job)
    document = json.loads(json.dumps(timeline_document(runs[3], maker.spans)))
    [lane] = document["lanes"]
    assert (document["run_id"], document["seconds"], document["start"]) == (runs[3].run_id, 10, "2026-11-24T02:15:00.000000Z")
    assert (lane["job"], lane["most"], lane["mean"]) == ("notes", 1, 0.5)
    assert lane["levels"] == [1] * 50 + [0] * 50


def test_a_run_without_events(runs: list[RunRecord]) -> None:
    assert timeline_document(runs[0], [])["lanes"] == []
    assert slow_document(runs[0], [], 5)["events"] == []
    assert errors_document(runs[0], [])["errors"] == []
    assert diff_document((runs[0], []), (runs[0], []))["changes"] == []


def test_the_slowest_and_the_failed(runs: list[RunRecord], failing: list[Span]) -> None:
    events = json.loads(json.dumps(slow_document(runs[1], failing, 3)))["events"]
    assert [set(event) for event in events] == [
        {"id", "job", "type", "name", "start", "seconds", "own_seconds", "status", "attributes"},
    ] * 3
    errors = json.loads(json.dumps(errors_document(runs[1], failing)))["errors"]
    assert sum(error["count"] for error in errors) == 66
    assert {frozenset(error) for error in errors} == {frozenset({"id", "path", "start", "count", "type", "message", "texts"})}


def test_a_difference(runs: list[RunRecord], failing: list[Span], nightly: list[Span]) -> None:
    document = json.loads(json.dumps(diff_document((runs[1], failing), (runs[3], nightly))))
    assert (document["before"], document["after"]) == (runs[1].run_id, runs[3].run_id)
    assert document["changes"][0]["group"] == "time"
    assert set(document["changes"][0]) == {"group", "name", "before", "after", "unit"}
    assert {setting["name"] for setting in document["settings"]} >= {"host", "job file"}
