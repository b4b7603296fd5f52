"""The slowest events: by their own time, with their waits."""

from __future__ import annotations

from asyncrun.trace.views.slow_and_failed import render_slow


def test_what_encloses_others_counts_only_by_its_own_time(maker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    maker.add("embedding", 0, 4, job, waits__rate=3.5, retries=2)
    maker.add("embedding", 4, 9.5, job, name="the longest")
    assert str(render_slow(maker.spans, 80, 2)).splitlines() == [
        "The 2 slowest of 3 events (time without what is inside of them)",
        "event                   time   at  job    status      rate  retries",
        "embedding the longest  5.5 s  4 s  notes  succeeded    0 s        0",
        "embedding                4 s  0 s  notes  succeeded  3.5 s        2",
    ]


def test_folded_events_are_counted_and_not_shown_as_one(maker) -> None:
    maker.add("embedding", 0, 1)
    maker.add("embedding", 0, 90, folded__count=999, folded__seconds=900.0)
    lines = str(render_slow(maker.spans, 80)).splitlines()
    assert lines[0].startswith("The 1 slowest of 1,000 events")
    assert len(lines) == 3
