"""The events of a page: a row each, bars on tracks, and the path over them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from asyncrun.trace.critical_path import critical_path
from asyncrun.trace.page.events import MOST_PIECES, page_events
from asyncrun.trace.run_record import Span
from asyncrun.trace.span_tree import build_forest
from tests.unit.trace.conftest import STARTED, SpanMaker

SECOND = 1_000_000


def events_of(spans: list[Span]) -> dict[str, Any]:
    brief = build_forest(spans, details=False)
    return page_events(build_forest(spans), brief, critical_path(brief), STARTED)


def tracks_of(data: dict[str, Any], kinds: set[str]) -> dict[int, list[tuple[int, int]]]:
    """Return the bars of some types by their track, by their start."""
    tracks: dict[int, list[tuple[int, int]]] = {}
    for row in data["rows"]:
        if row.track >= 0 and data["texts"][row.kind] in kinds:
            tracks.setdefault(row.track, []).append((row.start, row.end))
    return {track: sorted(bars) for track, bars in tracks.items()}


def test_every_event_has_a_row_and_bars_on_one_track_do_not_overlap(nightly: list[Span]) -> None:
    data = events_of(nightly)
    assert len([row for row in data["rows"] if row.percentiles is None]) == len(nightly)
    tracks = tracks_of(data, set(data["texts"]))
    assert sorted(tracks) == list(range(sum(lane["tracks"] for lane in data["lanes"])))
    for bars in tracks.values():
        assert all(one[1] <= other[0] for one, other in pairwise(bars))


def test_four_batches_at_once_are_four_tracks_with_their_attempts_and_waits_inside(maker: SpanMaker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    for number in range(8):
        start = 1 + number // 4 * 4
        batch = maker.add("embedding", start, start + 4, job)
        maker.add("wait", start, start + 1, batch, name="rate")
        maker.add("attempt", start + 1, start + 4, batch)
    data = events_of(maker.spans)
    [lane] = data["lanes"]
    assert lane["tracks"] == 4
    assert data["texts"][data["rows"][lane["head"]].name] == "notes"
    assert list(tracks_of(data, {"embedding"}).values()) == [[(SECOND, 5 * SECOND), (5 * SECOND, 9 * SECOND)]] * 4
    inside = [(SECOND, 2 * SECOND), (2 * SECOND, 5 * SECOND), (5 * SECOND, 6 * SECOND), (6 * SECOND, 9 * SECOND)]
    assert list(tracks_of(data, {"attempt", "wait"}).values()) == [inside] * 4


def test_folded_events_are_one_row_with_their_number_and_spread_on_a_track_of_their_own(failing: list[Span]) -> None:
    data = events_of(failing)
    [together] = [row for row in data["rows"] if row.events == 800]
    assert (together.failed, together.folded, together.track) == (64, 0, -1)
    assert together.percentiles == (50_000, 250_000, 500_000)
    [folded] = [row for row in data["rows"] if row.events == 740]
    assert (folded.level, folded.seconds, folded.percentiles) == (together.level + 1, 40 * SECOND, (50_000, 250_000, 500_000))
    assert folded.folded == 1
    assert [row.events for row in data["rows"] if row.track == folded.track] == [740]


def test_where_events_are_folded_a_lane_says_how_many_were_open_at_once(maker: SpanMaker) -> None:
    job = maker.add("async_job", 0, 20, name="notes")
    batch = maker.add("embedding", 0, 10, job)
    maker.add("attempt", 0, 10, batch)
    maker.add("embedding", 10, 20, job, folded__count=90, folded__seconds=30.0)
    [lane] = events_of(maker.spans)["lanes"]
    assert lane["levels"] == [1.0] * 100 + [3.0] * 100
    [lane] = events_of(maker.spans[:-1])["lanes"]
    assert lane["levels"] == []


def test_numbers_that_json_does_not_know_are_shown_as_text() -> None:
    span = Span("r", 1, None, "query", "", STARTED, STARTED + 1, "succeeded", {"a": float("nan"), "b": float("inf"), "c": True, "d": 1.5})
    [row] = events_of([span])["rows"]
    assert row.attributes == {"a": "nan", "b": "inf", "c": True, "d": 1.5}


def test_the_path_has_no_gap_leads_to_rows_and_stays_short(maker: SpanMaker) -> None:
    job = maker.add("async_job", 0, 5001, name="notes")
    for number in range(5000):
        maker.add("embedding", number, number + 1, job)
    data = events_of(maker.spans)
    path = data["path"]
    assert len(path) <= MOST_PIECES + 2
    assert (path[0][0], path[-1][1]) == (0, 5001 * SECOND)
    assert all(one[1] == other[0] for one, other in pairwise(path))
    kinds = [data["texts"][data["rows"][index].kind] for _, _, index in path]
    assert kinds[-1] == "async_job"
    assert set(kinds[:-1]) == {"embedding"}
