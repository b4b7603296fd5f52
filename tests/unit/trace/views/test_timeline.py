"""The timeline: lanes on one scale, and bars where work was done."""

from __future__ import annotations

from asyncrun.trace.views.timeline import render_timeline


def test_bars_stand_where_and_as_high_as_events_were_open(maker) -> None:
    notes = maker.add("async_job", 0, 20, name="notes")
    for _ in range(4):
        maker.add("embedding", 0, 10, notes)
    book = maker.add("async_job", 10, 20, name="book")
    maker.add("embedding", 15, 20, book)
    head, ruler, first, second = str(render_timeline(maker.spans, 43)).splitlines()
    assert head == "20 s; a column is 1 s, █ is 4 at once"
    assert ruler == "      |0"
    assert first == "notes ██████████·········· most 4, mean 2"
    assert second == "book            ·····▃▃▃▃▃ most 1, mean 0.5"


def test_jobs_of_one_name_share_a_lane_and_thousands_are_summed_up(maker) -> None:
    for number in range(100):
        maker.add("async_job", number, number + 1, name=f"job {number % 60}")
    lanes = str(render_timeline(maker.spans, 80)).splitlines()[2:]
    assert len(lanes) == 41
    assert lanes[-1].startswith("others")


def test_what_took_no_time_has_a_lane(maker) -> None:
    maker.add("async_job", 1, 1, name="notes")
    assert str(render_timeline(maker.spans, 60)).splitlines()[2].startswith("notes ·")


def test_an_open_job_is_said_to_be_unfinished(maker) -> None:
    maker.add("async_job", 0, None, name="notes")
    maker.add("async_job", 0, 1, name="book")
    lanes = str(render_timeline(maker.spans, 80)).splitlines()[2:]
    assert [lane.endswith(", unfinished") for lane in lanes] == [True, False]
