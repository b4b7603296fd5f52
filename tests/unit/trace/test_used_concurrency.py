"""Concurrency that was used: most and mean, over time, also where events are folded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.span_tree import build_forest
from asyncrun.trace.used_concurrency import Stretch, UsedConcurrency, concurrency_of, mean_levels, most_at_once, stretches_of

times = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted), max_size=10)


@given(times)
def test_the_most_is_what_a_count_at_every_moment_finds(parts: list[list[int]]) -> None:
    counts = [sum(start <= moment < end for start, end in parts) for moment in range(40)]
    assert most_at_once(Stretch(start, end) for start, end in parts) == max(counts)


@given(times, st.integers(1, 30))
def test_the_levels_add_up_to_the_work(parts: list[list[int]], number: int) -> None:
    levels = mean_levels([Stretch(start, end) for start, end in parts], 0, 40, number)
    assert len(levels) == number
    assert sum(levels) * 40 / number == pytest.approx(sum(end - start for start, end in parts))


@given(times)
def test_each_level_is_that_of_its_own_time(parts: list[list[int]]) -> None:
    counts = [sum(start <= moment < end for start, end in parts) for moment in range(40)]
    assert mean_levels([Stretch(start, end) for start, end in parts], 0, 40, 40) == pytest.approx(counts)


@given(times, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 9)), max_size=3), st.integers(1, 30))
def test_folded_events_are_laid_somewhere_within_their_time(parts: list[list[int]], many: list[tuple[int, int, int]], number: int) -> None:
    exact = [Stretch(start, end) for start, end in parts]
    folds = [Stretch(*sorted(fold[:2]), fold[2], folded=True) for fold in many]
    without, levels = (mean_levels(stretches, 0, 40, number) for stretches in (exact, [*exact, *folds]))
    work = sum((part.end - part.start) * part.level for part in (*exact, *folds))
    assert sum(levels) * 40 / number == pytest.approx(work)
    assert all(after >= before - 1e-9 for before, after in zip(without, levels, strict=True))


def test_folded_events_do_not_add_to_the_most_of_those_that_they_shared_workers_with(maker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    for start in range(4):
        for _ in range(4):
            maker.add("embedding", start, start + 1, job)
    maker.add("embedding", 0, 10, job, folded__count=240, folded__seconds=24.0)
    assert concurrency_of(build_forest(maker.spans)) == UsedConcurrency(4, 4)


def test_only_the_innermost_events_count(maker) -> None:
    job = maker.add("async_job", 0, 4, name="notes")
    outer = maker.add("async_job", 0, 4, job)
    maker.add("embedding", 0, 2, outer)
    maker.add("embedding", 1, 3, outer)
    assert concurrency_of(build_forest(maker.spans)) == UsedConcurrency(2, 1)


def test_folded_events_count_as_many_as_were_open_on_average(maker) -> None:
    job = maker.add("async_job", 0, 10, name="notes", folded__below=10.0)
    maker.add("embedding", 0, 10, job, folded__count=400, folded__seconds=40.0)
    [stretch] = stretches_of(build_forest(maker.spans))
    assert stretch.level == 4
    assert concurrency_of(build_forest(maker.spans)) == UsedConcurrency(4, 4)


def test_nothing_took_any_time(maker) -> None:
    maker.add("async_job", 1, 1)
    assert concurrency_of(build_forest(maker.spans)) == UsedConcurrency(0, 0)
    assert mean_levels([], 1, 1, 3) == [0, 0, 0]
