from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from asyncrun.errors import Place
from asyncrun.failure_groups import FailureGroup
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, Status
from asyncrun.ui.progress_frame import STYLES, render_frame, render_row, render_total
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


DONE = TaskState("done", Status.SUCCEEDED, 4, Counts(ok=4), usage=Usage(1, 0, 700), started=0.0, ended=2.0)


def test_ended_tasks_stay_and_the_last_row_is_that_of_all() -> None:
    lines = drawn(render_frame([DONE, NOTES], 16.0, 120), 120)
    assert [line.split()[:2] for line in lines] == [["done", "succeeded"], ["notes", "running"], ["total", "1"]]
    assert lines[2].startswith("total 1 of 2")
    assert "56/104, 2 failed, 20 cached, 700 tokens, 16 s, 24 s left" in lines[2]


def test_one_task_alone_has_no_row_of_all() -> None:
    assert len(drawn(render_frame([NOTES], 16.0, 100), 100)) == 1


def test_how_long_all_take_is_not_said_while_one_cannot_say_it() -> None:
    tasks = [NOTES, TaskState("ask")]
    assert "24 s left" in drawn(render_row(NOTES, 16.0, 120, 5), 120)[0]
    assert "left" not in drawn(render_total(tasks, 16.0, 120, 5), 120)[0]


def test_the_time_of_all_stands_still_when_all_have_ended() -> None:
    assert "104/104" not in drawn(render_total([DONE, NOTES], 16.0, 120, 5), 120)[0]
    assert drawn(render_total([DONE, replace(DONE, name="other")], 99.0, 120, 5), 120)[0].rstrip().endswith("8/8, 1.4k tokens, 2 s")


def test_what_finds_no_room_is_counted_and_running_tasks_come_first() -> None:
    tasks = [TaskState(f"job{number}") for number in range(50)] + [NOTES]
    lines = drawn(render_frame(tasks, 16.0, 80, height=6), 80)
    assert [line.split()[0] for line in lines] == ["notes", "job0", "job1", "job2", "and", "total"]
    assert lines[4].rstrip() == "and 47 more: 47 pending"


def test_where_there_is_no_room_what_went_wrong_comes_before_what_went_well() -> None:
    tasks = [*(replace(DONE, name=f"done{number}") for number in range(9)), replace(DONE, name="bad", status=Status.FAILED)]
    lines = drawn(render_frame(tasks, 16.0, 80, height=4), 80)
    assert [line.split()[0] for line in lines] == ["bad", "done0", "and", "total"]
    assert lines[2].rstrip() == "and 8 more: 8 succeeded"


def styles_of_bar(picture: RenderableType) -> set[str]:
    console = Console(file=io.StringIO(), width=100, color_system="standard", force_terminal=True)
    return {str(segment.style) for segment in console.render(picture) if "━" in segment.text}


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SUCCEEDED, Status.PARTIAL, Status.FAILED])
def test_a_bar_has_the_colour_of_its_status(status: Status) -> None:
    ended = None if status is Status.RUNNING else 2.0
    task = TaskState("notes", status, 4, Counts(ok=4), started=0.0, ended=ended)
    assert styles_of_bar(render_row(task, 2.0, 100, 5)) == {STYLES[status]}
    assert styles_of_bar(render_total([task, task], 2.0, 100, 5)) == {STYLES[status]}


def test_a_task_of_unknown_length_pulses_in_the_colour_of_what_runs() -> None:
    style = styles_of_bar(render_row(TaskState("notes", Status.RUNNING, None, started=0.0), 2.0, 100, 5))
    assert style
    assert not any("magenta" in each or "249" in each for each in style)


def test_a_bar_takes_what_the_figures_leave() -> None:
    def cells(width: int) -> int:
        return drawn(render_row(DONE, 16.0, width, 5), width)[0].count("━")

    assert cells(40) == 0
    assert [cells(width) for width in (60, 80, 100, 200)] == [17, 25, 33, 87]
    assert cells(300) == 300 - 5 - 9 - 2 - 96 - 1


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
    (line,) = drawn(render_frame([BUSY], now=16.0, width=180), 180)
    assert line.rstrip().endswith("52/100, 2 failed, 20 cached, 2.0/s, 12k tokens, $0.50, 24 s left, waiting for rate limit 3 s")


@pytest.mark.parametrize(("width", "shown"), [(40, "52/100, rate limit 3 s"), (32, "rate limit 3 s")])
def test_a_narrow_screen_says_first_what_a_task_waits_for(width: int, shown: str) -> None:
    (line,) = drawn(render_frame([BUSY], now=16.0, width=width), width)
    assert line.rstrip().endswith(f"running   {shown}")


@given(width=st.integers(30, 160))
def test_no_figure_is_cut_in_two(width: int) -> None:
    (line,) = drawn(render_frame([BUSY], now=16.0, width=width), width)
    assert "…" not in line


def test_what_finds_no_room_is_counted_by_its_status() -> None:
    tasks = [*(TaskState(f"run{number}", Status.RUNNING, 9, started=0.0) for number in range(6)), TaskState("last")]
    assert drawn(render_frame(tasks, 16.0, 80, height=5), 80)[-2].rstrip() == "and 4 more: 3 running, 1 pending"


def groups(count: int, message: str = "no field 'title'; known: id, text") -> list[tuple[str, FailureGroup]]:
    return [("notes", FailureGroup(count, ItemFailure("a11", Place("data.jsonl", 12), "bad_record", message)))]


def test_what_items_failed_by_stands_above_the_rows_with_how_many_and_the_first() -> None:
    lines = drawn(render_frame([NOTES], 16.0, 100, groups=groups(3)), 100)
    assert lines[0].rstrip() == "3 x no field 'title'; known: id, text, first at data.jsonl:12"
    assert len(lines) == 2


def test_with_several_tasks_failures_say_whose_they_are() -> None:
    lines = drawn(render_frame([NOTES, DONE], 16.0, 100, groups=groups(1)), 100)
    assert lines[0].rstrip() == "notes: 1 x no field 'title'; known: id, text, at data.jsonl:12"


def test_failures_leave_room_for_the_rows() -> None:
    tasks = [replace(NOTES, name=f"job{number}") for number in range(9)]
    lines = drawn(render_frame(tasks, 16.0, 100, height=8, groups=groups(3) * 5), 100)
    assert [line.split()[0] for line in lines] == ["notes:", "notes:", "job0", "job1", "job2", "job3", "and", "total"]


@given(
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    message=st.text(),
    name=st.text(min_size=1),
    count=st.integers(1, 10**7),
    jobs=st.integers(1, 30),
)
def test_a_frame_never_leaves_the_window(width: int, height: int, message: str, name: str, count: int, jobs: int) -> None:
    tasks = [replace(NOTES, name=f"{name}{number}") for number in range(jobs)]
    lines = drawn(render_frame(tasks, 16.0, width, height, groups(count, message)), width)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)


def test_a_screen_of_twenty_columns_says_how_far_each_is() -> None:
    tasks = [replace(NOTES, name="embed-articles"), replace(DONE, name="ingest-docs")]
    lines = [line.rstrip() for line in drawn(render_frame(tasks, 16.0, 20), 20)]
    assert lines == [
        "embed… 52/100, 2.0/s",
        "inges… succeeded",
        "total  1 of 2",
    ]
