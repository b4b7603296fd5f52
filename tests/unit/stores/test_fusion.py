"""Reciprocal rank fusion adds 1 / (60 + rank), and its order does not depend on chance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.stores.fusion import fuse

rankings = st.lists(st.lists(st.integers(0, 30), unique=True, max_size=12), max_size=4)


def test_scores_are_sums_of_reciprocal_ranks():
    assert dict(fuse([["a", "b"], ["b", "c"]])) == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62})


def test_what_several_rankings_hold_comes_before_what_one_holds():
    assert [key for key, _ in fuse([["a", "x"], ["b", "x"]])] == ["x", "a", "b"]


def test_equal_scores_are_ordered_by_the_first_ranking_then_the_next():
    assert [key for key, _ in fuse([["z", "a"], ["b", "c"]])] == ["z", "b", "a", "c"]


def test_one_ranking_stays_as_it_is():
    assert [key for key, _ in fuse([[3, 1, 2], []])] == [3, 1, 2]
    assert fuse([]) == []


@given(rankings)
def test_every_key_comes_out_once_and_best_first(lists):
    fused = fuse(lists)
    assert sorted(key for key, _ in fused) == sorted({key for ranking in lists for key in ranking})
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)
    for key, score in fused:
        assert score == pytest.approx(sum(1 / (61 + ranking.index(key)) for ranking in lists if key in ranking))
