"""The best rows are those of brute force in float64, and the same whatever a question is asked together with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun.stores.sqlite.vectors import best_rows, normalise
from tests.depth import times


def units_of(count, dimensions, seed=1):
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    normalise(vectors)
    return vectors


@settings(max_examples=times(quick=30, deep=60))
@given(
    count=st.integers(0, 60),
    questions=st.integers(1, 5),
    top_k=st.integers(0, 70),
    seed=st.integers(0, 1_000),
    allowed=st.none() | st.sets(st.integers(0, 59)),
)
def test_the_best_rows_are_those_of_brute_force(count, questions, top_k, seed, allowed):
    units = units_of(count, 5, seed)
    units[1::7] = units[:1]
    asked = np.random.default_rng(seed + 1).normal(size=(questions, 5)).astype(np.float32) * 100
    rows = None if allowed is None else np.array(sorted(row for row in allowed if row < count), dtype=np.intp)
    considered = list(range(count)) if rows is None else rows.tolist()
    for question, (found, scores) in zip(asked, best_rows(units, asked, [top_k] * questions, rows), strict=True):
        unit = question.astype(np.float64) / np.linalg.norm(question.astype(np.float64))
        cosine = {row: float(units[row].astype(np.float64) @ unit) for row in considered}
        best = sorted(cosine.values(), reverse=True)[:top_k]
        assert scores.tolist() == pytest.approx(best, abs=1e-6)
        assert [cosine[row] for row in found.tolist()] == pytest.approx(best, abs=1e-6)
        assert len(set(found.tolist())) == len(found) <= top_k


def test_equal_rows_come_in_their_order_alone_and_together():
    units = np.repeat(units_of(1, 384), 5_003, axis=0)
    asked = np.repeat(units_of(1, 384, seed=2), 33, axis=0)
    for batch in (1, 2, 7, 33):
        found = list(best_rows(units, asked[:batch], [9] * batch))
        assert [rows.tolist() for rows, _ in found] == [list(range(9))] * batch
        assert [len(set(scores.tolist())) for _, scores in found] == [1] * batch


def test_many_equal_rows_among_others_come_in_their_order():
    units = units_of(2, 8)[np.arange(4_000) % 2]
    ((rows, _),) = best_rows(units, units[1:2], [3_000])
    assert rows.tolist() == [*range(1, 4_000, 2), *range(0, 2_000, 2)]


def test_rows_that_are_nearly_equal_are_told_apart():
    noise = np.random.default_rng(4).normal(size=(3_000, 384)).astype(np.float32)
    units = units_of(1, 384) + noise * np.float32(3e-8)
    question = units_of(1, 384, seed=9)
    unit = question[0].astype(np.float64)
    exact = units.astype(np.float64) @ unit
    ((rows, _),) = best_rows(units, question, [10])
    assert rows.tolist() == np.argsort(-exact, kind="stable")[:10].tolist()


def test_each_question_has_its_own_count():
    found = list(best_rows(units_of(10, 3), units_of(3, 3), [0, 2, 50]))
    assert [len(rows) for rows, _ in found] == [0, 2, 10]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 3e37])
def test_length_does_not_matter_however_small_or_large(scale):
    vectors = (units_of(20, 4) * scale).astype(np.float32)
    normalise(vectors)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(20), abs=1e-6)


def test_a_vector_of_zeros_has_the_score_zero():
    units = np.array([[0, 0], [1, 0]], dtype=np.float32)
    normalise(units)
    (rows, scores), (_, none) = best_rows(units, np.array([[1, 0], [0, 0]], dtype=np.float32), [2, 2])
    assert (rows.tolist(), scores.tolist(), none.tolist()) == ([1, 0], [1, 0], [0, 0])
