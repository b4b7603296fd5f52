"""The Chrome trace event format: its rules for events, and that on one track events nest."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.exporters.perfetto import perfetto_document
from asyncrun.trace.run_record import RunRecord, Span

STARTED = 1_795_486_500.0
NOW = STARTED + 25


def assert_valid(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Check a document against the format, and return its complete events."""
    assert document["displayTimeUnit"] in ("ms", "ns")
    named: set[tuple[str, int, int]] = set()
    complete = []
    for event in json.loads(json.dumps(document))["traceEvents"]:
        assert all(isinstance(event[key], int) and event[key] >= 0 for key in ("pid", "tid", "ts"))
        assert isinstance(event["name"], str)
        assert isinstance(event["args"], dict)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name")
            assert isinstance(event["args"]["name"], str)
            named.add((event["name"], event["pid"], event["tid"]))
        else:
            assert event["ph"] == "X"
            assert isinstance(event["dur"], int)
            assert event["dur"] >= 0
            assert isinstance(event["cat"], str)
            complete.append(event)
    assert {("thread_name", event["pid"], event["tid"]) for event in complete} <= named
    assert {("process_name", event["pid"], 0) for event in complete} <= named
    return complete


def assert_nested(events: list[dict[str, Any]], parents: dict[int, int | None]) -> None:
    """Check that on each track two events lie apart, or one inside of the other, and then inside of its parent only."""
    tracks = defaultdict(list)
    for event in events:
        tracks[event["pid"], event["tid"]].append(event)
    for track in tracks.values():
        for number, one in enumerate(track):
            for other in track[number + 1 :]:
                start, end = max(one["ts"], other["ts"]), min(one["ts"] + one["dur"], other["ts"] + other["dur"])
                if start < end:
                    assert one["ts"] <= other["ts"]
                    assert other["ts"] + other["dur"] <= one["ts"] + one["dur"]
                    ancestor = parents[other["args"]["id"]]
                    while ancestor not in (None, one["args"]["id"]):
                        ancestor = parents[ancestor]
                    assert ancestor == one["args"]["id"]


@pytest.mark.parametrize("trace", ["nightly", "failing", "trying"])
def test_a_run_is_valid_and_nothing_overlaps(trace: str, runs: list[RunRecord], request: pytest.FixtureRequest) -> None:
    spans: list[Span] = request.getfixturevalue(trace)
    events = assert_valid(perfetto_document(runs[3], spans, NOW))
    assert sorted(event["args"]["id"] for event in events) == [span.id for span in spans]
    assert_nested(events, {span.id: span.parent for span in spans})


def test_no_control_character_and_no_lone_surrogate_goes_out(runs: list[RunRecord], failing: list[Span]) -> None:
    text = json.dumps(perfetto_document(runs[1], failing, NOW), ensure_ascii=False)
    text.encode()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_a_job_is_a_process_and_a_worker_a_track(runs: list[RunRecord], maker) -> None:
    job = maker.add("async_job", 0, 4, name="notes")
    for start in (0, 0, 2, 2):
        maker.add("embedding", start, start + 2, job)
    maker.add("async_job", 1, 2, name="book")
    document = perfetto_document(runs[3], maker.spans, NOW)
    events = assert_valid(document)
    assert [(event["pid"], event["tid"]) for event in events] == [(1, 1), (1, 1), (1, 2), (1, 1), (1, 2), (2, 1)]
    names = [event["args"]["name"] for event in document["traceEvents"] if event["name"] == "process_name"]
    assert names == ["notes", "book"]
    assert (events[-1]["ts"], events[-1]["dur"]) == (1_000_000, 1_000_000)


def test_attempts_and_waits_lie_inside_of_their_batch(runs: list[RunRecord], trying: list[Span]) -> None:
    events = assert_valid(perfetto_document(runs[3], trying, NOW))
    tracks = {event["args"]["id"]: (event["pid"], event["tid"]) for event in events}
    inner = [span for span in trying if span.type in ("attempt", "wait") and span.parent]
    assert inner
    assert all(tracks[span.id] == tracks[span.parent] for span in inner)
    assert {event["name"] for event in events} >= {"attempt", "attempt throttle", "wait rate", "wait gate", "wait backoff"}


def test_folded_events_say_how_many_they_are(runs: list[RunRecord], failing: list[Span]) -> None:
    assert any(event["name"].endswith(" x 740") for event in assert_valid(perfetto_document(runs[3], failing, NOW)))


moments = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)


@given(st.lists(st.tuples(moments, st.integers(0, 8)), max_size=14))
def test_whatever_overlaps_never_does_so_on_one_track(parts: list[tuple[list[int], int]]) -> None:
    spans = [
        Span("r", number, parent if 0 < parent < number else None, "async_job", "", STARTED + start, STARTED + end, "succeeded")
        for number, ((start, end), parent) in enumerate(parts, 1)
    ]
    run = RunRecord("r", STARTED, None, "running", None, None, None, "1", "here")
    events = assert_valid(perfetto_document(run, spans, NOW))
    assert len(events) == len(parts)
    assert_nested(events, {span.id: span.parent for span in spans})
