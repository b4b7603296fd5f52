from __future__ import annotations

import io
from typing import Any

import pytest

from asyncrun.records import ItemFailure
from asyncrun.registry import load
from asyncrun.results import Counts, JobResult, Status
from asyncrun.ui.bars import BarProgress
from asyncrun.ui.plain_lines import PlainProgress
from asyncrun.ui.progress_choice import open_progress


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "40")
    return io.StringIO()


def last_lines(stream: io.StringIO) -> str:
    """What is left on the screen: everything after the picture was wiped."""
    return stream.getvalue().rpartition("\x1b[?25h")[2]


def test_bars_are_found_by_name() -> None:
    assert load("progress", "bar") is open_progress


def test_without_a_terminal_there_are_plain_lines(stream: io.StringIO) -> None:
    progress = open_progress(stream)
    assert isinstance(progress, PlainProgress)
    progress.task_started("squares", 1)
    progress.task_finished("squares", None)
    progress.close()
    assert "\x1b" not in stream.getvalue()


def test_a_finished_task_leaves_its_line(stream: io.StringIO, clock: Any) -> None:
    progress = BarProgress(stream, clock, colour=False)
    progress.run_started("r1", ["notes", "ask"])
    progress.task_started("notes", 4)
    clock.time += 2
    progress.task_finished("notes", JobResult("notes", "embed", Status.PARTIAL, 3, counts=Counts(ok=3, failed=1), seconds=2.0))
    progress.close()
    progress.close()
    assert "notes partial" in stream.getvalue()
    assert stream.getvalue().count("4/4, 1 failed, 2.0/s, 2 s") == 1


def test_a_task_that_has_not_ended_leaves_its_line_too(stream: io.StringIO, clock: Any) -> None:
    progress = BarProgress(stream, clock, colour=False)
    progress.task_started("notes", 4)
    progress.advance("notes", Counts(ok=3))
    progress.close()
    assert "notes stopped" in last_lines(stream)
    assert "3/4" in last_lines(stream)


def test_failures_and_warnings_are_shown_above(stream: io.StringIO, clock: Any, failure: ItemFailure) -> None:
    progress = BarProgress(stream, clock, colour=False)
    progress.task_started("notes", 14)
    for _ in range(14):
        progress.item_failed("notes", failure)
    progress.warn("odd [red] name \x1b[2J")
    progress.task_finished("notes", None)
    progress.close()
    assert stream.getvalue().count("item n7 failed (too_long)") == 10
    assert "notes: 4 more items failed" in stream.getvalue()
    assert "warning: odd [red] name \\x1b[2J" in stream.getvalue()


def test_without_colour_no_colour_is_sent(stream: io.StringIO, clock: Any) -> None:
    progress = BarProgress(stream, clock, colour=False)
    progress.task_started("notes", 4)
    progress.warn("look here")
    progress.task_finished("notes", None)
    progress.close()
    assert "\x1b[3" not in stream.getvalue()
