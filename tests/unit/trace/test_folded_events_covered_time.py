"""How much time is covered: the same as the union of all, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.folded_events import CoveredTime
from asyncrun.trace.span_tree import union_seconds

moments = st.integers(0, 60)
intervals = st.lists(st.tuples(moments, moments).map(lambda pair: (float(min(pair)), float(max(pair)))), max_size=40)


@given(intervals)
def test_it_is_the_union_whatever_the_order(parts: list[tuple[float, float]]) -> None:
    busy = CoveredTime()
    for start, end in parts:
        busy.add(start, end)
    assert busy.seconds == union_seconds(parts)


@given(intervals.filter(bool))
def test_many_at_once_are_their_union(parts: list[tuple[float, float]]) -> None:
    busy = CoveredTime()
    busy.add_many(np.array([start for start, _ in parts]), np.array([end for _, end in parts]))
    assert busy.seconds == pytest.approx(union_seconds(parts))


def test_a_million_separate_stretches_are_summed() -> None:
    busy = CoveredTime()
    for number in range(10_000):
        busy.add(number, number + 0.5)
    assert busy.seconds == pytest.approx(5000)
    # Too long ago to be told apart from what is known of it: it counts as covered up to then.
    busy.add(0, 10_001)
    assert 5000 < busy.seconds < 5100
