from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from asyncrun.results import Counts, Status
from asyncrun.ui.bars import render_frame, render_row
from asyncrun.ui.run_state import TaskState
from asyncrun.usage import Usage

NOTES = TaskState("notes", Status.RUNNING, 100, Counts(ok=50, cached=20, failed=2), started=0.0)


def drawn(picture: RenderableType, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(picture)
    return captured.get().splitlines()


def test_a_running_task_shows_state_bar_counts_rate_and_end() -> None:
    (line,) = drawn(render_frame([NOTES], now=16.0, width=100), 100)
    assert line.startswith("notes running")
    assert "━━━━" in line
    assert "52/100, 2 failed, 20 cached, 2.0/s, 24 s left" in line


def test_the_same_states_at_the_same_time_give_the_same_frame() -> None:
    tasks = [NOTES, TaskState("ask", Status.RUNNING, None, started=0.0)]
    assert drawn(render_frame(tasks, 16.0, 100), 100) == drawn(render_frame(tasks, 16.0, 100), 100)


def test_a_task_says_what_it_waits_for() -> None:
    task = TaskState("notes", Status.RUNNING, 100, waiting="the rate limit", started=0.0)
    assert "0/100, waiting for the rate limit" in drawn(render_frame([task], 16.0, 100), 100)[0]


def test_a_bar_fills_with_the_items() -> None:
    def filled(done: int) -> int:
        console = Console(file=io.StringIO(), width=100, color_system="standard", force_terminal=True)
        task = TaskState("notes", Status.RUNNING, 100, Counts(ok=done), started=0.0)
        with console.capture() as captured:
            console.print(render_frame([task], 16.0, 100))
        bar = next(part for part in captured.get().split("\x1b[") if "━" in part)
        return bar.count("━")

    assert filled(10) < filled(50) < filled(100)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_a_status_is_a_word(status: Status) -> None:
    (line,) = drawn(render_row(TaskState("notes", status, 4, Counts(ok=4), started=0.0, ended=2.0), 2.0, 100, 5), 100)
    assert status.value in line.split()
    assert "2 s" in line


def test_ended_tasks_are_not_in_the_frame() -> None:
    ended = TaskState("done", Status.SUCCEEDED, 4, Counts(ok=4), started=0.0, ended=2.0)
    assert len(drawn(render_frame([ended, NOTES], 16.0, 100), 100)) == 1


def test_what_finds_no_room_is_counted_and_running_tasks_come_first() -> None:
    tasks = [TaskState(f"job{number}") for number in range(50)] + [NOTES]
    lines = drawn(render_frame(tasks, 16.0, 80, height=5), 80)
    assert [line.split()[0] for line in lines] == ["notes", "job0", "job1", "job2", "and"]
    assert lines[4].rstrip() == "and 47 more: 47 pending"


def test_a_name_is_never_read_as_markup() -> None:
    (line,) = drawn(render_frame([TaskState("[red]x[/]", Status.RUNNING, 1, started=0.0)], 1.0, 100), 100)
    assert line.startswith("[red]x[/] running")


@given(
    name=st.text(min_size=1),
    width=st.integers(20, 200),
    total=st.none() | st.integers(0, 10**9),
    done=st.integers(0, 10**9),
    waiting=st.none() | st.text(),
)
@example(name="\u0301" + "long" * 20, width=20, total=None, done=0, waiting=None)  # without end in Rich 14.3.0 to 14.3.2
def test_a_task_is_one_line_that_fits(name: str, width: int, total: int | None, done: int, waiting: str | None) -> None:
    task = TaskState(name, Status.RUNNING, total, Counts(ok=done), waiting=waiting, started=0.0)
    lines = drawn(render_frame([task], 5.0, width), width)
    assert len(lines) == 1
    assert cell_len(lines[0]) <= width


BUSY = replace(NOTES, usage=Usage(2, 0, 12_300, 0.5), waiting="rate limit 3 s")


def test_a_wide_screen_has_room_for_all_that_is_known() -> None:
    (line,) = drawn(render_frame([BUSY], now=16.0, width=160), 160)
    assert line.rstrip().endswith("52/100, 2 failed, 20 cached, 2.0/s, 12k tokens, $0.50, 24 s left, waiting for rate limit 3 s")


@pytest.mark.parametrize(("width", "shown"), [(40, "52/100, rate limit 3 s"), (30, "rate limit 3 s")])
def test_a_narrow_screen_says_first_what_a_task_waits_for(width: int, shown: str) -> None:
    (line,) = drawn(render_frame([BUSY], now=16.0, width=width), width)
    assert line.rstrip().endswith(f"running   {shown}")


@given(width=st.integers(30, 160))
def test_no_figure_is_cut_in_two(width: int) -> None:
    (line,) = drawn(render_frame([BUSY], now=16.0, width=width), width)
    assert "…" not in line


def test_what_finds_no_room_is_counted_by_its_status() -> None:
    tasks = [*(TaskState(f"run{number}", Status.RUNNING, 9, started=0.0) for number in range(6)), TaskState("last")]
    assert drawn(render_frame(tasks, 16.0, 80, height=4), 80)[-1].rstrip() == "and 4 more: 3 running, 1 pending"
