"""Batches keep to every limit, keep the order, lose nothing, and are made lazily."""

from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.batching.pack import byte_size, pack

SIZES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)))
LIMIT = st.none() | st.integers(1, 100)


@given(SIZES, st.integers(1, 7), LIMIT, LIMIT)
def test_nothing_is_lost_moved_or_over_a_limit(sizes, max_items, max_tokens, max_bytes):
    stream = [(place, tokens, size) for place, (tokens, size) in enumerate(sizes)]
    batches = list(pack(stream, max_items=max_items, max_tokens=max_tokens, max_bytes=max_bytes))
    assert [place for batch in batches for place in batch] == list(range(len(sizes)))
    for batch in batches:
        assert 1 <= len(batch) <= max_items
        if len(batch) > 1:
            assert max_tokens is None or sum(sizes[place][0] for place in batch) <= max_tokens
            assert max_bytes is None or sum(sizes[place][1] for place in batch) <= max_bytes


@given(SIZES, st.integers(1, 7), LIMIT, LIMIT)
def test_a_batch_ends_only_where_the_next_thing_does_not_fit(sizes, max_items, max_tokens, max_bytes):
    stream = [(place, tokens, size) for place, (tokens, size) in enumerate(sizes)]
    batches = list(pack(stream, max_items=max_items, max_tokens=max_tokens, max_bytes=max_bytes))
    for batch, following in pairwise(batches):
        grown = [*batch, following[0]]
        assert (
            len(grown) > max_items
            or (max_tokens is not None and sum(sizes[place][0] for place in grown) > max_tokens)
            or (max_bytes is not None and sum(sizes[place][1] for place in grown) > max_bytes)
        )


def test_an_endless_stream_is_packed_as_it_comes():
    batches = pack(((number, 1, 1) for number in count()), max_items=3)
    assert [next(batches), next(batches)] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("text", ["", "ascii", "naïve", "日本語", "\ud800"])
def test_the_size_of_a_text_is_its_utf8(text):
    assert byte_size(text) == len(text.encode("utf-8", "surrogatepass"))
