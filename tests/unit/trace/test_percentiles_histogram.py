"""Percentiles from a few counters: near the exact ones, whatever was counted, in one part or several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.percentiles import CLASSES, DurationHistogram, percentile

durations = st.lists(st.floats(0, 1e6), min_size=1)
shares = st.sampled_from([0.5, 0.95, 1.0])


def counted(seconds: list[float]) -> DurationHistogram:
    histogram = DurationHistogram()
    for value in seconds:
        histogram.add(value)
    return histogram


@given(durations, shares)
def test_they_are_within_two_percent(seconds: list[float], share: float) -> None:
    assert counted(seconds).at(share) == pytest.approx(percentile(sorted(seconds), share), rel=0.02, abs=1e-7)


@given(durations, shares)
def test_many_at_once_are_counted_as_one_by_one(seconds: list[float], share: float) -> None:
    histogram = DurationHistogram()
    histogram.add_many(np.array(seconds))
    assert histogram.count == len(seconds)
    assert histogram.at(share) == pytest.approx(counted(seconds).at(share), rel=0.04)


@given(durations, durations, shares)
def test_two_merge_into_what_one_would_be(some: list[float], others: list[float], share: float) -> None:
    histogram = counted(some)
    histogram.merge(counted(others))
    assert (histogram.count, histogram.at(share)) == (len(some) + len(others), counted(some + others).at(share))


def test_nothing_and_the_unthinkable() -> None:
    assert DurationHistogram().at(0.5) == 0
    assert counted([1e300]).at(0.5) > 1e9
    assert CLASSES == 1000
