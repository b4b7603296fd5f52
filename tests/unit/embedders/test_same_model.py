"""Similarity is LlamaIndex's: cosine, dot product, and euclidean with a minus sign."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.embedders import SimilarityMode, similarity

vectors = st.lists(st.floats(-100, 100), min_size=3, max_size=3)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cosine", 11 / math.sqrt(5 * 25)),
        ("dot_product", 11.0),
        ("euclidean", -math.sqrt(8)),
        (SimilarityMode.DEFAULT, 11 / math.sqrt(125)),
    ],
)
def test_each_mode(mode, expected):
    assert similarity([1, 2], [3, 4], mode) == pytest.approx(expected)


@given(vectors, vectors, st.sampled_from(SimilarityMode))
def test_the_order_of_the_two_is_no_matter(first, second, mode):
    assert similarity(first, second, mode) == pytest.approx(similarity(second, first, mode), nan_ok=True)


def test_arrays_are_taken_as_well_as_lists():
    assert similarity(np.array([1, 0], np.float32), [1.0, 0.0]) == 1.0


def test_a_vector_of_zeros_has_no_direction():
    assert math.isnan(similarity([0.0, 0.0], [1.0, 0.0]))


@pytest.mark.parametrize(("second", "mode"), [([1.0], "cosine"), ([1.0, 2.0], "manhattan")])
def test_what_cannot_be_compared_is_refused(second, mode):
    with pytest.raises(ValueError):
        similarity([1.0, 2.0], second, mode)
