"""What the page of a run shows: figures, the path, jobs with their waits, and how the run compares with those before it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from asyncrun.trace.page.document import MOST_EARLIER, Earlier, page_document
from asyncrun.trace.run_record import RunRecord, Span
from tests.unit.trace.conftest import STARTED

NOW = STARTED + 40
SUMMARY = {
    **{"items": 43, "ok": 40, "failed": 2, "skipped": 1, "cached": 10, "requests": 12, "retries": 8, "tokens": 800, "cost": 0.5},
    "bound_by": "tokens_per_minute",
    "jobs": [{"name": "embed-notes", "status": "partial", "items": 43, "ok": 40, "failed": 2, "seconds": 34.0, "cost": None}],
}
RUN = RunRecord("20261124-021500-4f2a", STARTED, STARTED + 36, "partial", 3, 36.0, "jobs.yaml", "0.1.0", "here", SUMMARY, STARTED + 36)


def tiles(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {tile["label"]: (tile["value"], tile["note"]) for tile in document["tiles"]}


def test_the_figures_are_those_of_the_summary(trying: list[Span]) -> None:
    assert tiles(page_document(RUN, trying, NOW)) == {
        "ok": ("40", "of 43 items"),
        "failed": ("2", "4.65%"),
        "cached": ("10", "done before"),
        "skipped": ("1", ""),
        "time": ("36 s", "0.8 items/s"),
        "requests": ("12", "8 retried"),
        "tokens": ("800", "22/s"),
        "cost": ("$0.50", ""),
        "bound by": ("tokens per minute", "the rate limit"),
    }


def test_a_run_that_goes_on_shows_what_its_events_say_so_far(trying: list[Span]) -> None:
    going = replace(RUN, ended=None, status="running", seconds=None, exit_code=None, summary={}, seen=NOW)
    # The second job has begun; of the first one two batches have ended.
    spans = [replace(span, end=None, status="running") if span.end > STARTED + 17 else span for span in trying if span.start < STARTED + 18]
    document = page_document(going, spans, NOW)
    assert document["verdict"] == "Running for 40 s"
    assert {name: value for name, (value, _) in tiles(document).items()} == {
        **{"ok": "20", "failed": "0", "cached": "0", "time": "40 s", "requests": "6", "tokens": "400"}
    }


def test_how_much_of_a_run_is_done_is_said_while_it_goes_on(trying: list[Span]) -> None:
    summary = {"items": 10, "ok": 10, "share": 0.25, "jobs": [{"name": "embed-notes", "status": "running", "total": 40, "ok": 10}]}
    going = replace(RUN, ended=None, status="running", seconds=None, exit_code=None, summary=summary, seen=NOW)
    document = page_document(going, trying, NOW)
    assert (document["share"], document["jobs"][0]["total"]) == (0.25, 40)
    assert page_document(replace(going, seen=STARTED), trying, NOW)["share"] is None


def test_jobs_have_their_waits_and_the_path_names_where_the_time_went(trying: list[Span]) -> None:
    document = page_document(RUN, trying, NOW)
    notes, ingest = document["jobs"]
    assert (notes["name"], notes["status"], notes["ok"], notes["seconds"]) == ("embed-notes", "partial", 40, 34.0)
    assert notes["waits"]["request"] == 14.0
    assert ingest["waits"] == {"store": 1.25}
    assert document["time_went"].startswith("in embed-notes: 39% requests, ")
    assert document["path"]["seconds"] == 36.0
    assert [(part["job"], part["event"]) for part in document["path"]["parts"]] == [
        *[("embed-notes", "embedding"), ("ingest-notes", "node_parsing"), ("ingest-notes", "itself"), ("embed-notes", "itself")]
    ]


def test_a_run_that_fell_silent_and_a_partial_trace_say_so(runs: list[RunRecord]) -> None:
    [said] = page_document(runs[2], [], STARTED)["warnings"]
    assert "last sign of life" in said
    assert page_document(runs[1], [], STARTED)["warnings"] == ["This trace is partial: 7 spans could not be written."]
    assert page_document(runs[3], [], STARTED + 22)["warnings"] == []


def test_earlier_runs_are_charted_and_the_last_of_them_is_compared_with(trying: list[Span]) -> None:
    before = [
        replace(RUN, run_id=f"r{number}", seconds=number, summary={"items": number, "cost": None}, settings={"notes.workers": 4})
        for number in range(40)
    ]
    # The run before waited less for the rate limit, in each batch.
    quicker = [replace(span, end=span.end - 2) if span.id == 1 and span.end else span for span in trying]
    document = page_document(replace(RUN, settings={"notes.workers": 2}), trying, NOW, Earlier(before, quicker, lambda run: f"{run}.html"))
    assert len(document["earlier"]) == MOST_EARLIER + 1
    assert document["earlier"][0] == {
        **{"run_id": "r10", "started": "2026-11-24 02:15:00 UTC", "status": "partial", "seconds": 10, "items": 10, "cost": None},
        "link": "r10.html",
    }
    assert document["earlier"][-1]["link"] is None
    slower = document["slower"]
    assert slower["run_id"] == "r39"
    assert [(one["job"], one["before"], one["after"]) for one in slower["compared"]][1] == ("embed-notes", 32.0, 34.0)
    assert slower["settings"] == [{"name": "notes.workers", "before": "4", "after": "2"}]
    assert page_document(RUN, trying, NOW)["slower"] is None


def test_workers_have_their_calls_and_their_time_on_the_way() -> None:
    workers = [{"name": "pid\x1b 7", "calls": 2, "seconds": 1.5, "ship": 0.25}]
    assert page_document(replace(RUN, summary={**SUMMARY, "workers": workers}), [], NOW)["workers"] == [
        {**workers[0], "name": "pid\\x1b 7"}
    ]
    assert page_document(RUN, [], NOW)["workers"] == []


def test_a_summary_of_any_shape_makes_a_page(hostile_spans: list[Span]) -> None:
    strange = {"items": "x", "ok": None, "jobs": [7, {"name": None}], "failures": ["x", {}], "hints": [], "cost": "free", "bound_by": 3}
    strange["workers"] = ["x", {"name": None, "calls": "many", "seconds": math.nan}]
    document = page_document(replace(RUN, summary=strange), hostile_spans, NOW, Earlier([replace(RUN, summary=strange)], hostile_spans))
    json.dumps(document, allow_nan=False)
