from __future__ import annotations

import threading
from string import ascii_letters

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import Place
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, Status
from asyncrun.ui.run_state import NAMED_FAILURES, TaskState, TrackingProgress
from asyncrun.usage import Load, Usage, Waits


class Stopwatch:
    """A clock that stands where it is set."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


class Board(TrackingProgress):
    """The state of tasks, told at moments that a test names."""

    def __init__(self, named_failures: int | None = NAMED_FAILURES) -> None:
        self.watch = Stopwatch()
        super().__init__(self.watch, named_failures=named_failures)

    def at(self, now: float) -> Board:
        self.watch.seconds = now
        return self


def test_tasks_keep_the_order_in_which_they_were_named() -> None:
    board = Board()
    board.run_started("r1", ["b", "a"])
    board.at(0.0).task_started("a", 3)
    assert [(task.name, task.status) for task in board.tasks] == [("b", Status.PENDING), ("a", Status.RUNNING)]


def test_a_task_that_begins_again_begins_at_nothing() -> None:
    board = Board()
    board.at(0.0).task_started("a", 3)
    board.advance("a", Counts(ok=2))
    board.at(7.0).task_started("a", 5)
    assert board.tasks == (TaskState("a", Status.RUNNING, 5, started=7.0),)


@given(st.lists(st.builds(Counts, ok=st.integers(0, 9), failed=st.integers(0, 9), skipped=st.integers(0, 9))))
def test_every_ended_item_is_counted_once(steps: list[Counts]) -> None:
    board = Board()
    board.at(0.0).task_started("a", None)
    for step in steps:
        board.advance("a", step)
    assert board.tasks[0].done == sum(step.ok + step.failed + step.skipped for step in steps)


def test_calls_from_several_threads_lose_nothing() -> None:
    board = Board()
    board.at(0.0).task_started("a", None)
    threads = [threading.Thread(target=lambda: [board.advance("a", Counts(ok=1)) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert board.tasks[0].done == 2000


def failed(message: str) -> ItemFailure:
    return ItemFailure("n7", Place("notes.jsonl", 7), "odd", message)


def test_only_the_first_failures_are_named() -> None:
    board = Board()
    named = [board.note_failure("a", failed(message)) for message in ascii_letters[: NAMED_FAILURES + 3]]
    assert named == [True] * NAMED_FAILURES + [False] * 3
    assert board.tasks[0].unnamed_failures == 3


def test_of_failures_of_one_sort_the_first_is_named_and_all_are_counted() -> None:
    board = Board()
    told = [board.note_failure("a", failed(f"{number}00 tokens, 256 at most")) for number in range(1, 10)]
    assert told == [True] + [False] * 8
    board.note_failure("b", failed("no field 'title'"))
    groups = board.failure_groups(5)
    assert [(task, group.count, group.first.message) for task, group in groups] == [
        ("a", 9, "100 tokens, 256 at most"),
        ("b", 1, "no field 'title'"),
    ]


def test_what_several_tasks_failed_by_is_one_sort() -> None:
    board = Board()
    for task in ("a", "b", "a"):
        board.note_failure(task, failed("empty"))
    assert [(task, group.count) for task, group in board.failure_groups(5)] == [("2 jobs", 3)]


def test_of_many_sorts_the_most_frequent_are_shown_as_they_came() -> None:
    board = Board()
    for number in range(300):
        board.note_failure("a", failed(f"sort {chr(0x4E00 + number % 29)}"))
    board.note_failure("a", failed("sort of one"))
    board.note_failure("b", failed(f"sort {chr(0x4E00)}"))
    assert [group.count for _, group in board.failure_groups(3)] == [12, 11, 11]
    assert [group.first.message for _, group in board.failure_groups(2)] == ["sort \u4e00", "sort \u4e01"]


def test_the_result_of_a_job_has_the_last_word() -> None:
    board = Board()
    board.at(1.0).task_started("a", 9)
    board.advance("a", Counts(ok=4))
    board.waiting("a", "the rate limit")
    ended = board.at(3.0).note_end("a", JobResult("a", "embed", Status.FAILED, 1, reason="no such model", counts=Counts(ok=5), seconds=2.0))
    assert ended == TaskState("a", Status.FAILED, 9, Counts(ok=5), reason="no such model", started=1.0, ended=3.0)


def test_a_task_that_ends_without_having_begun_took_no_time() -> None:
    ended = Board().at(3.0).note_end("a", JobResult("a", "embed", Status.CANCELLED, 0))
    assert (ended.status, ended.seconds(99.0)) == (Status.CANCELLED, 0.0)


def test_a_task_that_still_runs_at_the_end_is_stopped() -> None:
    board = Board()
    board.run_started("r1", ["a", "b"])
    board.at(0.0).task_started("a", None)
    assert [task.name for task in board.at(2.0).note_stop()] == ["a"]
    assert [task.status for task in board.tasks] == [Status.STOPPED, Status.PENDING]
    assert board.at(3.0).note_stop() == []


def test_items_of_earlier_runs_do_not_count_as_speed() -> None:
    task = TaskState("a", Status.RUNNING, 100, Counts(ok=60, cached=50), started=0.0)
    assert task.rate(5.0) == 2.0
    assert task.left(5.0) == 20.0


def test_speed_is_unknown_before_the_first_item_and_the_end_without_a_total() -> None:
    assert TaskState("a", Status.RUNNING, 100, started=0.0).rate(5.0) is None
    assert TaskState("a", Status.RUNNING, None, Counts(ok=10), started=0.0).left(5.0) is None


def test_more_items_than_announced_never_leave_less_than_nothing() -> None:
    assert TaskState("a", Status.RUNNING, 5, Counts(ok=10), started=0.0).left(5.0) == 0.0


def sending() -> Board:
    """A task of 100 items, 60 of them done before, that has 40 texts of 10 bytes to send."""
    board = Board()
    board.at(0.0).task_started("a", 100)
    board.advance("a", Counts(ok=60, cached=60))
    board.at(10.0).expect("a", Load(40, 400))
    return board


def answer(board: Board, load: Load, *, began: float, ended: float) -> None:
    board.at(began).sending("a", load)
    board.at(ended).received("a", load, Waits())


def test_a_task_that_sends_advances_with_each_answer_though_no_item_has_ended() -> None:
    board = sending()
    assert (board.tasks[0].share, board.tasks[0].left(10.0)) == (0.6, None)
    answer(board, Load(10, 100), began=10.0, ended=15.0)
    task = board.tasks[0]
    assert (task.done, task.share, task.left(15.0)) == (60, pytest.approx(0.7), pytest.approx(15.0))


def test_what_was_done_before_does_not_make_the_rest_look_short() -> None:
    board, alone = sending(), Board()
    alone.at(0.0).task_started("a", 40)
    alone.at(10.0).expect("a", Load(40, 400))
    for each in (board, alone):
        answer(each, Load(10, 100), began=10.0, ended=15.0)
    assert board.tasks[0].left(15.0) == alone.tasks[0].left(15.0)


def test_the_time_left_is_that_of_the_bytes_and_not_of_the_items() -> None:
    board = Board()
    board.at(0.0).task_started("a", 100)
    board.at(0.0).expect("a", Load(100, 1_000))
    answer(board, Load(99, 100), began=0.0, ended=10.0)
    board.advance("a", Counts(ok=99))
    assert board.tasks[0].left(10.0) == pytest.approx(90.0)


def test_a_task_that_has_sent_all_shows_no_time_left() -> None:
    board = sending()
    answer(board, Load(40, 400), began=10.0, ended=20.0)
    assert board.tasks[0].left(30.0) is None


def test_what_a_job_did_before_it_could_say_how_many_items_it_has_is_part_of_its_time() -> None:
    board = Board()
    board.at(8.0).task_started("a", 9)
    ended = board.at(8.22).note_end("a", JobResult("a", "embed", Status.SUCCEEDED, 0, seconds=8.22))
    assert ended.seconds(99.0) == 8.22


def test_what_requests_use_adds_up_and_the_result_has_the_last_word() -> None:
    board = Board()
    board.at(0.0).task_started("a", 9)
    board.use("a", Usage(requests=1, tokens=10))
    board.use("a", Usage(requests=1, tokens=20, cost=0.5))
    assert board.tasks[0].usage == Usage(requests=2, tokens=30, cost=0.5)
    assert board.at(1.0).note_end("a", JobResult("a", "embed", Status.SUCCEEDED, 0, usage=Usage(tokens=31))).usage.tokens == 31


def test_a_task_that_has_ended_waits_for_nothing() -> None:
    board = Board()
    board.at(0.0).task_started("a", 9)
    board.at(1.0).note_end("a", None)
    board.waiting("a", "rate limit 3 s")
    assert board.tasks[0].waiting is None


def test_all_failures_are_named_when_that_is_asked_for() -> None:
    board = Board(named_failures=None)
    assert all(board.note_failure("a", failed("empty")) for _ in range(NAMED_FAILURES + 3))
    assert board.tasks[0].unnamed_failures == 0
