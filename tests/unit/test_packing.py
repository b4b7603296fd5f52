"""Batches keep to every limit, keep the order, lose nothing, and are made lazily."""

from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.packing import BatchLimits, byte_size, pack

SIZES = st.lists(st.integers(0, 50))
LIMITS = st.builds(BatchLimits, st.integers(1, 7), st.none() | st.integers(1, 100), st.none() | st.integers(1, 100))
RATIO = st.sampled_from([1.0, 0.5, 0.25])


def fits(sizes, limits, ratio):
    return (
        len(sizes) <= limits.max_items
        and (limits.max_tokens is None or sum(sizes) * ratio <= limits.max_tokens)
        and (limits.max_bytes is None or sum(sizes) <= limits.max_bytes)
    )


@given(SIZES, LIMITS, RATIO)
def test_nothing_is_lost_moved_or_over_a_limit(sizes, limits, ratio):
    batches = list(pack(enumerate(sizes), limits, lambda: ratio))
    assert [place for batch in batches for place in batch] == list(range(len(sizes)))
    assert all(len(batch) == 1 or fits([sizes[place] for place in batch], limits, ratio) for batch in batches)


@given(SIZES, LIMITS, RATIO)
def test_a_batch_ends_only_where_the_next_thing_does_not_fit(sizes, limits, ratio):
    batches = list(pack(enumerate(sizes), limits, lambda: ratio))
    assert not any(fits([sizes[place] for place in [*batch, following[0]]], limits, ratio) for batch, following in pairwise(batches))


def test_batches_grow_when_a_byte_turns_out_to_be_less_than_a_token():
    ratios = iter([1.0, 0.25, 0.25])
    batches = list(pack(((place, 10) for place in range(12)), BatchLimits(max_tokens=20), lambda: next(ratios)))
    assert [len(batch) for batch in batches] == [2, 8, 2]


def test_an_endless_stream_is_packed_as_it_comes():
    batches = pack(((number, 1) for number in count()), BatchLimits(max_items=3))
    assert [next(batches), next(batches)] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("text", ["", "ascii", "naïve", "日本語", "\ud800"])
def test_the_size_of_a_text_is_its_utf8(text):
    assert byte_size(text) == len(text.encode("utf-8", "surrogatepass"))
