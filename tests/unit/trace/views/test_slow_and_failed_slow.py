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


def test_of_a_run_on_workers_each_event_says_which_one_and_how_long_it_was_on_its_way(maker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    maker.add("embedding", 0, 4, job, waits__ship=1.5, worker="node-1 pid\x1b[31m 7")
    maker.add("embedding", 4, 9, job, worker="pid 8")
    assert str(render_slow(maker.spans, 90, 3)).splitlines()[1:] == [
        "event            time   at  job    status     worker                 ship",
        "embedding         5 s  4 s  notes  succeeded  pid 8                   0 s",
        "embedding         4 s  0 s  notes  succeeded  node-1 pid\\x1b[31m 7  1.5 s",
        "async_job notes   1 s  0 s  -      succeeded  -                       0 s",
    ]


def test_folded_events_are_counted_and_not_shown_as_one(maker) -> None:
    maker.add("embedding", 0, 1)
    maker.add("embedding", 0, 90, folded__count=999, folded__seconds=900.0)
    lines = str(render_slow(maker.spans, 80)).splitlines()
    assert lines[0].startswith("The 1 slowest of 1,000 events")
    assert len(lines) == 3
