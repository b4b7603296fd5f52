"""The short trace map and timing summary at the end of a run."""

from __future__ import annotations

from typing import Any

import pytest

from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.views.folded_tree import STARS, render_brief_tree
from asyncrun.trace.views.run_end import render_end
from asyncrun.trace.views.styled_text import columns
from asyncrun.trace.views.timing_summary import render_brief_summary

RUN = RunRecord("r1", 0.0, 9.0, "succeeded", 0, 9.0)


def events(maker: Any, width: int = 100) -> list[str]:
    return str(render_brief_tree(maker.spans, width)).splitlines()[2:-1]


def test_equal_siblings_are_one_line_and_attempts_are_not_in_it(maker: Any) -> None:
    job = maker.add("async_job", 0, 9, name="notes")
    for number in range(7):
        batch = maker.add("embedding", number, number + 1, job)
        maker.add("attempt", number, number + 0.5, batch)
    assert str(render_brief_tree(maker.spans, 100)).splitlines() == [
        "**********",
        f"Trace: {maker.spans[0].run_id}",
        "    |_async_job notes -> 9 s",
        "      |_embedding x 7 -> 7 s (p50 1 s, p95 1 s, max 1 s)",
        "**********",
    ]


def test_of_four_jobs_the_longest_events_are_shown_and_it_is_said_that_there_are_more(maker: Any) -> None:
    for number in range(4):
        job = maker.add("async_job", 0, 9, name=f"job{number}")
        maker.add("embedding", 0, 8, job)
        maker.add("retrieve", 8, 8.5, job)
    assert [line.split("->")[0].strip(" |_") for line in events(maker)] == [
        *("async_job job0", "embedding", "async_job job1", "embedding", "async_job job2", "embedding", "async_job job3", "embedding"),
    ]
    assert str(render_brief_tree(maker.spans, 100)).splitlines()[1].endswith(" (what took longest; all: asyncrun trace)")


def test_what_failed_is_shown_however_short_it_was(maker: Any) -> None:
    for number in range(4):
        job = maker.add("async_job", 0, 9, name=f"job{number}")
        maker.add("embedding", 0, 8, job)
    maker.add("retrieve", 8, 8.001, job, status="failed")
    assert any("retrieve" in line and "failed" in line for line in events(maker))


def test_what_stands_below_a_short_event_comes_after_it(maker: Any) -> None:
    job = maker.add("async_job", 0, 9, name="ask")
    write = maker.add("async_job", 0, 2, job, name="write out")
    maker.add("retrieve", 0, 1, write, name="docs")
    assert [line.rstrip() for line in events(maker)] == [
        "    |_async_job ask -> 9 s",
        "      |_async_job write out -> 2 s",
        "        |_retrieve docs -> 1 s",
    ]


def test_five_hundred_jobs_are_one_line(maker: Any) -> None:
    for number in range(500):
        maker.add("embedding", 0, 1, maker.add("async_job", 0, 1, name=f"job{number}"))
    assert [line.split(" -> ")[0] for line in events(maker)] == ["    |_async_job x 500", "      |_embedding x 500"]


def test_the_short_summary_is_one_table_with_what_fits(trying: Any) -> None:
    lines = str(render_brief_summary(trying, 80)).splitlines()
    assert lines[0].split()[:5] == ["Timing", "summary", "count", "total", "self"]
    assert not any(line.startswith(("attempt", "wait")) for line in lines)
    assert lines[-1] == "suspended: 8h 00m by the wall clock, which are part of no other number"
    assert str(render_brief_summary(trying, 24)).splitlines()[0].split()[-1] == "total"


def test_the_whole_end_has_every_event_and_the_times_of_each_job(maker: Any) -> None:
    job = maker.add("async_job", 0, 20, name="notes")
    for number in range(12):
        maker.add("embedding", number, number + 1, job)
    brief, whole = (str(render_end(RUN, maker.spans, 100, whole=whole)) for whole in (False, True))
    assert brief.count("|_embedding") == 1
    assert whole.count("|_embedding") == 12
    assert "\njob " in whole
    assert "\njob " not in brief


@pytest.mark.parametrize("width", [1, 7, 20, 29, 30, 39, 40, 60, 100])
def test_no_line_is_wider_than_the_window(trying: Any, width: int) -> None:
    shown = f"{render_brief_tree(trying, width)}\n{render_brief_summary(trying, width)}"
    assert max(map(columns, shown.splitlines())) <= max(width, len(STARS))
