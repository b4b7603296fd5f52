"""The timing summary: jobs and types, and the waits that there were."""

from __future__ import annotations

from asyncrun.trace.views.summary import render_summary


def test_jobs_come_by_their_start_and_types_by_their_total(maker) -> None:
    first = maker.add("async_job", 0, 4, name="b-first")
    maker.add("embedding", 1, 3, first, waits__rate=1.5)
    maker.add("async_job", 1, 2, name="a-second")
    assert render_summary(maker.spans, 80).splitlines() == [
        "Timing summary (seconds)",
        "job       count  total  self  rate",
        "b-first       1   4.00  2.00  1.50",
        "a-second      1   1.00  1.00     0",
        "",
        "event type  count  total  self  rate",
        "async_job       2   5.00  3.00     0",
        "embedding       1   2.00  2.00  1.50",
    ]


def test_events_outside_of_jobs_are_summed_up_too(maker) -> None:
    maker.add("query", 0, 1)
    assert render_summary(maker.spans, 80).splitlines() == [
        "Timing summary (seconds)",
        "event type  count  total  self",
        "query           1   1.00  1.00",
    ]
