"""A rejected batch is split so that few requests find the blamed_index text."""

import math

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.packing import split


@given(st.integers(1, 200), st.none() | st.integers(-1, 205))
def test_the_parts_are_the_batch_in_its_order_and_smaller_than_it(size, cap):
    parts = split(range(size), cap)
    assert [thing for part in parts for thing in part] == list(range(size))
    assert all(len(part) for part in parts)
    assert size == 1 or max(map(len, parts)) < size


def test_the_cap_of_the_endpoint_is_the_size_of_the_parts():
    assert [len(part) for part in split(range(96), cap=32)] == [32, 32, 32]


@given(st.integers(0, 95))
def test_one_guilty_of_96_costs_at_most_16_requests(blamed_index):
    """14: calls <= 2 log2(96) + 2."""
    calls, queue = 0, [range(96)]
    while queue:
        batch = queue.pop()
        calls += 1
        if blamed_index in batch and len(batch) > 1:
            queue += split(batch)
    assert calls <= 2 * math.log2(96) + 2
