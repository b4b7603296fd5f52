from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, RunResult, Status
from asyncrun.ui.plain_lines import PlainProgress, WarningsOnly
from asyncrun.usage import Usage


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(stream: io.StringIO, clock: Any) -> PlainProgress:
    return PlainProgress(stream, clock)


def test_a_finished_task_is_one_line(progress: PlainProgress, stream: io.StringIO, clock: Any) -> None:
    progress.run_started("r1", ["notes"])
    progress.task_started("notes", 5)
    clock.time += 12.5
    counts = Counts(items=5, ok=4, cached=1, failed=1)
    progress.task_finished("notes", JobResult("notes", "embed", Status.PARTIAL, 3, counts=counts, seconds=12.5))
    progress.run_finished(RunResult("r1", (), 12.5))
    progress.close()
    progress.close()
    assert stream.getvalue() == "notes: partial: 4 ok (1 cached), 1 failed in 12.5 s\n"


def test_a_job_that_failed_says_why(progress: PlainProgress, stream: io.StringIO) -> None:
    progress.task_finished("notes", JobResult("notes", "embed", Status.FAILED, 1, reason="no such model"))
    assert stream.getvalue() == "notes: failed: 0 ok in 0 s: no such model\n"


def test_a_library_task_ends_without_a_result(progress: PlainProgress, stream: io.StringIO, clock: Any) -> None:
    progress.task_started("squares", 2)
    progress.advance("squares", Counts(ok=2))
    clock.time += 1
    progress.task_finished("squares", None)
    assert stream.getvalue() == "squares: succeeded: 2 ok in 1 s\n"


def test_the_first_item_of_each_sort_of_failure_is_named_and_the_others_are_counted(
    progress: PlainProgress, stream: io.StringIO, failure: ItemFailure
) -> None:
    progress.task_started("notes", 14)
    for number in range(14):
        progress.item_failed("notes", replace(failure, message=f"too long by {chr(0x61 + number)}"))
        progress.item_failed("notes", replace(failure, message=f"too long by {chr(0x61 + number)}"))
    progress.task_finished("notes", JobResult("notes", "embed", Status.FAILED, 1, counts=Counts(failed=28)))
    lines = stream.getvalue().splitlines()
    assert lines[:10] == [f"notes: item n7 failed (too_long) at notes.jsonl:7: too long by {letter}" for letter in "abcdefghij"]
    assert lines[10] == "notes: 18 more items failed"
    assert len(lines) == 12


def test_a_sign_of_life_comes_once_a_minute_however_many_calls(progress: PlainProgress, stream: io.StringIO, clock: Any) -> None:
    progress.run_started("r1", ["notes", "ask"])
    progress.task_started("notes", 1000)
    progress.task_started("ask", None)
    for _ in range(600):
        clock.time += 0.25
        progress.advance("notes", Counts(ok=1))
    assert stream.getvalue().splitlines() == [
        "running: notes 240 of 1,000 (24%), 4.0/s, 3m 10s left; ask 0",
        "running: notes 480 of 1,000 (48%), 4.0/s, 2m 10s left; ask 0",
    ]


def test_a_sign_of_life_says_what_a_task_waits_for(progress: PlainProgress, stream: io.StringIO, clock: Any) -> None:
    progress.task_started("notes", 10)
    clock.time += 61
    progress.waiting("notes", "the rate limit")
    assert stream.getvalue() == "running: notes 0 of 10 (0%), waiting for the rate limit\n"


def test_nothing_is_said_while_nothing_runs(progress: PlainProgress, stream: io.StringIO, clock: Any) -> None:
    progress.run_started("r1", ["notes"])
    clock.time += 100
    progress.waiting("notes", None)
    assert stream.getvalue() == ""


def test_names_and_warnings_cannot_steer_a_terminal(progress: PlainProgress, stream: io.StringIO) -> None:
    progress.warn("odd \x1b[2J name\nsecond line")
    progress.task_finished("a\x1b]0;title\x07b", None)
    assert stream.getvalue() == ("warning: odd \\x1b[2J name\\x0asecond line\na\\x1b]0;title\\x07b: succeeded: 0 ok in 0 s\n")


def test_without_progress_warnings_are_still_shown(stream: io.StringIO, failure: ItemFailure) -> None:
    progress = WarningsOnly(stream)
    progress.task_started("notes", 3)
    progress.item_failed("notes", failure)
    progress.task_finished("notes", None)
    progress.warn("two items share an id")
    assert stream.getvalue() == "warning: two items share an id\n"


def test_a_verbose_run_names_every_failed_item_and_the_jobs_that_begin(stream: io.StringIO, clock: Any, failure: ItemFailure) -> None:
    progress = PlainProgress(stream, clock, verbose=True)
    progress.task_started("notes", 1200)
    progress.task_started("ask", None)
    for _ in range(14):
        progress.item_failed("notes", failure)
    progress.task_finished("notes", None)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["notes: begins, 1,200 items", "ask: begins"]
    assert lines[2:16] == ["notes: item n7 failed (too_long) at notes.jsonl:7: 300 tokens, 256 at most"] * 14
    assert len(lines) == 17


def test_a_sign_of_life_says_what_requests_have_used(progress: PlainProgress, stream: io.StringIO, clock: Any) -> None:
    progress.task_started("notes", 10)
    progress.use("notes", Usage(requests=2, tokens=12_300, cost=0.0125))
    clock.time += 61
    progress.waiting("notes", None)
    assert stream.getvalue() == "running: notes 0 of 10 (0%), 12k tokens, $0.0125\n"
