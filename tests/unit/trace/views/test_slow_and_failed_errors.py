"""What failed: each reason once, and where it comes from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.views.slow_and_failed import render_errors


def test_nothing_failed_is_one_line(maker, runs: list[RunRecord]) -> None:
    maker.add("async_job", 0, 1, name="notes")
    assert str(render_errors(runs[0], maker.spans, 80)) == "No event of run 20261122-021500-0a01 failed."


@pytest.mark.parametrize(("failed", "said"), [(1, "1 item failed by itself"), (2, "2 items failed by themselves")])
def test_items_that_failed_without_an_event_are_mentioned(maker, runs: list[RunRecord], failed: int, said: str) -> None:
    maker.add("async_job", 0, 1, name="notes", status="partial", failed=failed)
    assert str(render_errors(runs[0], maker.spans, 120)) == f"No event of run 20261122-021500-0a01 failed; {said}: see `asyncrun failed`."


def test_the_command_that_shows_more_is_never_cut(maker, runs: list[RunRecord]) -> None:
    maker.add("async_job", 0, 1, name="notes", status="partial", failed=100_000)
    lines = str(render_errors(runs[0], maker.spans, 60)).splitlines()
    assert " ".join(lines).endswith("100,000 items failed by themselves: see `asyncrun failed`.")
    assert max(map(len, lines)) <= 60


def test_what_fails_again_for_the_same_reason_is_counted(maker, runs: list[RunRecord]) -> None:
    run = replace(runs[0], summary={"jobs": [{"name": "notes", "reason": "the key is refused"}]})
    job = maker.add("async_job", 0, 5, name="notes", status="failed")
    for start in (1, 2, 3):
        maker.add("embedding", start, start + 1, job, status="failed", error__type="AuthError", error__message="401")
    maker.add("embedding", 4, 5, job, status="failed", error__type="OutageError", error__message="no route")
    assert str(render_errors(run, maker.spans, 80)).splitlines() == [
        "5 events of run 20261122-021500-0a01 failed",
        "at 0 s: async_job notes",
        "    the key is refused",
        "3 times, first at 1 s: async_job notes > embedding",
        "    AuthError: 401",
        "at 4 s: async_job notes > embedding",
        "    OutageError: no route",
    ]


def test_many_different_reasons_end_in_a_count(maker, runs: list[RunRecord]) -> None:
    for number in range(60):
        maker.add("embedding", 0, 1, status="failed", error__type=f"Error{number}")
    assert str(render_errors(runs[0], maker.spans, 80)).splitlines()[-1] == "and 10 more, in `asyncrun trace errors --json`"


def test_a_summary_of_another_shape_gives_no_reason(maker, runs: list[RunRecord]) -> None:
    maker.add("async_job", 0, 1, name="notes", status="failed")
    for summary in ({"jobs": "none"}, {"jobs": [3]}, {}):
        assert "no reason is recorded" in str(render_errors(replace(runs[0], summary=summary), maker.spans, 80))


def test_an_attempt_that_the_next_one_made_good_is_no_failure(runs: list[RunRecord], trying: list[Span]) -> None:
    assert "No event of run" in str(render_errors(runs[0], trying, 80))
