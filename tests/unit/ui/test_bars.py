from __future__ import annotations

import io
import re
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
    assert last_lines(stream).count("4/4, 1 failed, 2 s") == 1


def test_where_the_end_is_told_below_nothing_is_left(stream: io.StringIO, clock: Any, failure: ItemFailure) -> None:
    progress = BarProgress(stream, clock, colour=False, wiped=True)
    progress.run_started("r1", ["notes", "ask"])
    progress.task_started("notes", 4)
    progress.item_failed("notes", failure)
    progress.task_finished("notes", JobResult("notes", "embed", Status.PARTIAL, 3, counts=Counts(ok=3, failed=1), seconds=2.0))
    progress.close()
    assert re.sub(r"\x1b\[\d*[A-Z]", "", last_lines(stream)).strip() == ""


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
    assert "14 x 300 tokens, 256 at most, first at notes.jsonl:7" in last_lines(stream)
    assert "item n7" not in stream.getvalue()
    assert "warning: odd [red] name \\x1b[2J" in stream.getvalue()


def test_a_verbose_run_names_every_failed_item_above(stream: io.StringIO, clock: Any, failure: ItemFailure) -> None:
    progress = BarProgress(stream, clock, colour=False, verbose=True)
    progress.task_started("notes", 14)
    for _ in range(14):
        progress.item_failed("notes", failure)
    progress.close()
    assert stream.getvalue().count("notes: item n7 failed (too_long)") == 14
    assert "14 x " not in stream.getvalue()


def test_without_colour_no_colour_is_sent(stream: io.StringIO, clock: Any) -> None:
    progress = BarProgress(stream, clock, colour=False)
    progress.task_started("notes", 4)
    progress.warn("look here")
    progress.task_finished("notes", None)
    progress.close()
    assert "\x1b[3" not in stream.getvalue()
