from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, Status
from asyncrun.ui.cell_output import CellOutput
from asyncrun.ui.notebook import MOST_TASKS, REDRAW_EVERY, NotebookProgress, render_table, render_text
from asyncrun.ui.run_state import TaskState


class Seen(CellOutput):
    """An output that keeps what it was shown."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(None)
        self.shown: list[dict[str, str]] = []
        self.error = error

    def show(self, **forms: str) -> None:
        self.shown.append(forms)
        if self.error:
            raise self.error


def test_a_task_is_drawn_when_it_begins_moves_and_ends(clock: Any) -> None:
    seen = Seen()
    progress = NotebookProgress(seen, io.StringIO(), clock)
    progress.run_started("r1", ["notes"])
    progress.task_started("notes", 4)
    clock.time += 2
    progress.advance("notes", Counts(ok=2))
    progress.task_finished("notes", JobResult("notes", "embed", Status.PARTIAL, 3, counts=Counts(ok=3, failed=1), seconds=2.0))
    progress.close()
    assert [forms["text"].split(",")[0] for forms in seen.shown] == [
        "notes: pending",
        "notes 0 of 4 (0%)",
        "notes 2 of 4 (50%)",
        "notes: partial: 3 ok",
    ]
    assert '<progress max="1" value="0.500"></progress>' in seen.shown[2]["html"]


def test_between_two_drawings_some_time_goes_by(clock: Any) -> None:
    seen = Seen()
    progress = NotebookProgress(seen, io.StringIO(), clock)
    progress.task_started("notes", 1000)
    for _ in range(1000):
        clock.time += REDRAW_EVERY / 100
        progress.advance("notes", Counts(ok=1))
    assert 9 <= len(seen.shown) <= 11


def test_a_task_that_has_not_ended_is_drawn_as_stopped(clock: Any) -> None:
    seen = Seen()
    progress = NotebookProgress(seen, io.StringIO(), clock)
    progress.task_started("notes", None)
    progress.close()
    progress.close()
    assert [forms["text"] for forms in seen.shown[1:]] == ["notes: stopped: 0 ok in 0 s"]
    assert "<progress></progress>" in seen.shown[0]["html"]
    assert 'value="0.000"' in seen.shown[1]["html"]


def test_failed_items_and_warnings_are_lines(clock: Any, failure: ItemFailure) -> None:
    stderr = io.StringIO()
    progress = NotebookProgress(Seen(), stderr, clock)
    progress.task_started("notes", 14)
    for _ in range(14):
        progress.item_failed("notes", failure)
    progress.warn("odd")
    progress.task_finished("notes", None)
    assert stderr.getvalue().count("item n7 failed (too_long)") == 1
    assert stderr.getvalue().endswith("warning: odd\nnotes: 13 more items failed\n")


def test_an_output_that_fails_is_reported_once_and_the_work_goes_on(clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    seen = Seen(OSError("the front end is gone"))
    progress = NotebookProgress(seen, io.StringIO(), clock)
    with caplog.at_level(logging.WARNING):
        progress.task_started("notes", 4)
        progress.task_finished("notes", None)
    assert len(seen.shown) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "progress is switched off: the notebook does not take it: the front end is gone"
    ]


def test_names_are_no_markup() -> None:
    assert "&lt;script&gt;" in render_table([TaskState("<script>")], 0.0)


def test_of_many_tasks_those_that_run_are_drawn_and_the_others_counted() -> None:
    tasks = [TaskState(f"t{number}", Status.SUCCEEDED if number < MOST_TASKS else Status.RUNNING) for number in range(MOST_TASKS + 2)]
    lines = render_text(tasks, 0.0).splitlines()
    assert [line.split(" ")[0] for line in lines[-3:]] == [f"t{MOST_TASKS}", f"t{MOST_TASKS + 1}", "and"]
    assert lines[-1] == "and 2 more: 2 succeeded"
    assert 'colspan="4"' in render_table(tasks, 0.0)
