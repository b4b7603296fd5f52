"""The timing summary: jobs and types, and the waits that there were."""

from __future__ import annotations

import re

from asyncrun.trace.views.timing_summary import render_summary


def test_jobs_come_by_their_start_and_types_by_their_total(maker) -> None:
    first = maker.add("async_job", 0, 4, name="b-first")
    maker.add("embedding", 1, 3, first, waits__rate=1.5)
    maker.add("async_job", 1, 2, name="a-second")
    assert str(render_summary(maker.spans, 80)).splitlines() == [
        "Timing summary",
        "job       count  total  self   rate",
        "b-first       1    4 s   2 s  1.5 s",
        "a-second      1    1 s   1 s    0 s",
        "",
        "event type  count  total  self   rate",
        "async_job       2    5 s   3 s    0 s",
        "embedding       1    2 s   2 s  1.5 s",
    ]


def test_events_outside_of_jobs_are_summed_up_too(maker) -> None:
    maker.add("query", 0, 1)
    assert str(render_summary(maker.spans, 80)).splitlines() == [
        "Timing summary",
        "event type  count  total  self",
        "query           1    1 s   1 s",
    ]


def test_at_80_columns_no_wait_is_left_out(trying) -> None:
    text = str(render_summary(trying, 80))
    for name in ("queue", "rate", "gate", "backoff", "connect", "request", "decode", "store", "write"):
        assert text.count(f" {name}") == 2
    assert max(map(len, text.splitlines())) <= 80


def test_a_jobs_waits_are_those_of_its_batches_whatever_their_attempts_say(trying) -> None:
    table = str(render_summary(trying, 120)).split("\n\n")[0].splitlines()[1:]
    head, notes, _ = [re.split("  +", line) for line in table]
    assert dict(zip(head, notes, strict=True))["request"] == "14 s"


def test_a_run_in_which_the_machine_was_suspended_says_so(trying) -> None:
    assert str(render_summary(trying, 80)).splitlines()[-1] == "suspended: 8h 00m by the wall clock, which are part of no other number"


def test_a_job_that_waited_for_nothing_has_no_line_among_the_waits(trying, maker) -> None:
    maker.add("async_job", 36.0, 37.0, name="idle")
    tables = str(render_summary(trying, 80)).split("\n\n")
    assert "idle" in tables[0]
    assert "idle" not in tables[1]
