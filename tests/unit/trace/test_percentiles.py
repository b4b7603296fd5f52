"""Percentiles of durations: values that a person will act on, also where most events are folded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.percentiles import Percentiles, percentile, percentiles_of


@given(st.lists(st.floats(0, 100), min_size=1), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_percentile_is_a_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    ordered = sorted(values)
    value = percentile(ordered, share)
    assert value in ordered
    assert sum(other <= value for other in ordered) >= share * len(ordered) - 1e-9


def test_the_95th_of_20_is_the_19th() -> None:
    assert percentile([float(number) for number in range(1, 21)], 0.95) == 19


def fold(count: int, low: float, p50: float, p95: float, high: float) -> dict[str, float]:
    return {"folded.count": count, "folded.min": low, "folded.p50": p50, "folded.p95": p95, "folded.max": high}


def test_nothing_has_ended() -> None:
    assert percentiles_of([]) == Percentiles(0, 0, 0)


def test_one_fold_knows_the_percentiles_of_all_that_are_alike() -> None:
    assert percentiles_of([0.1, 9.0], [fold(100, 0.2, 0.5, 0.8, 1.0)]) == Percentiles(0.5, 0.8, 9.0)


def test_several_folds_count_by_how_many_they_stand_for() -> None:
    percentiles = percentiles_of([], [fold(1000, 0.2, 0.5, 0.8, 1.0), fold(10, 2.0, 3.0, 4.0, 5.0)])
    assert (percentiles.p50, percentiles.p95, percentiles.most) == (0.5, 0.8, 5.0)


finite = st.floats(0, 1e6)
folds = st.builds(lambda count, values: fold(count, *sorted(values)), st.integers(1, 10**9), st.lists(finite, min_size=4, max_size=4))


@given(st.lists(finite, max_size=5), st.lists(folds, min_size=1, max_size=4))
def test_percentiles_lie_in_order_between_the_extremes(exact: list[float], many: list[dict[str, float]]) -> None:
    percentiles = percentiles_of(exact, many)
    assert percentiles.p50 <= percentiles.p95 <= percentiles.most
