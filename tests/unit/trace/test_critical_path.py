"""The critical path: no gap, nothing twice, and the events that the end really waited for."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.critical_path import critical_path, parts_of
from asyncrun.trace.span_tree import build_forest

from .conftest import SpanMaker


def path_of(maker: SpanMaker) -> list[tuple[str, float, float]]:
    begin = min(span.start for span in maker.spans)
    return [
        (piece.node.label if piece.node else "-", piece.start - begin, piece.end - begin)
        for piece in critical_path(build_forest(maker.spans))
    ]


def test_the_path_goes_back_from_what_ended_last_to_what_it_waited_for(maker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    maker.add("embedding", 1, 4, job, name="first")
    maker.add("embedding", 0, 3, job, name="not waited for")
    maker.add("embedding", 4, 9, job, name="second")
    assert path_of(maker) == [("notes", 0, 1), ("first", 1, 4), ("second", 4, 9), ("notes", 9, 10)]


def test_time_between_jobs_belongs_to_nobody(maker) -> None:
    maker.add("async_job", 0, 2, name="a")
    maker.add("async_job", 3, 4, name="b")
    assert path_of(maker) == [("a", 0, 2), ("-", 2, 3), ("b", 3, 4)]


def test_folded_events_fill_the_gaps_between_the_others(maker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    maker.add("embedding", 0, 1, job, name="first")
    maker.add("embedding", 7, 9, job, name="slowest")
    maker.add("embedding", 1, 8.5, job, name="many", folded__count=50, folded__seconds=7.0, waits__rate=7.0)
    assert path_of(maker) == [("first", 0, 1), ("many", 1, 7), ("slowest", 7, 9), ("notes", 9, 10)]
    parts = {part.event: part for part in parts_of(critical_path(build_forest(maker.spans)))}
    assert parts["embedding"].seconds == pytest.approx(9)
    assert parts["embedding"].waits["rate"] == pytest.approx(6)
    assert parts["itself"].job == "notes"


def test_no_events_have_no_path() -> None:
    assert critical_path([]) == ()


moments = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted)


@given(st.lists(st.tuples(moments, st.integers(0, 6), st.booleans()), min_size=1, max_size=12))
def test_the_path_covers_the_whole_time_once(parts: list[tuple[list[int], int, bool]]) -> None:
    maker = SpanMaker()
    for (start, end), parent, folded in parts:
        above = maker.spans[parent] if parent < len(maker.spans) else None
        maker.add("async_job", start, end, above, **({"folded__count": 3, "folded__seconds": 2.0} if folded else {}))
    forest = build_forest(maker.spans)
    pieces = critical_path(forest)
    begin, finish = min(node.span.start for node in forest), max(node.end for node in forest)
    assert all(one.end == other.start for one, other in itertools.pairwise(pieces))
    assert all(piece.seconds > 0 for piece in pieces)
    assert ((pieces[0].start, pieces[-1].end) if pieces else ()) == ((begin, finish) if begin < finish else ())
