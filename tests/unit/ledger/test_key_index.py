"""The index finds exactly the keys that it was made of."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.ledger.key_index import KeyIndex, keys_array

# Few different bytes, so that keys share their first half, or everything.
KEYS = st.lists(st.binary(min_size=2, max_size=2).map(lambda two: two[:1] * 8 + two[1:] * 8), max_size=30)


def index_of(keys: list[bytes], first: int = 0) -> KeyIndex:
    """Return an index in which each key has a batch of its own, numbered from `first`, with slots and flags that tell them apart."""
    batches = np.arange(first, first + len(keys), dtype=np.int64)
    return KeyIndex(keys_array(b"".join(keys)), batches, batches.astype(np.int32) * 3, (batches % 5).astype(np.uint8))


@given(KEYS, KEYS)
def test_finds_the_keys_that_are_there_and_no_others(stored: list[bytes], asked: list[bytes]) -> None:
    index = index_of(stored)
    found = index.find(keys_array(b"".join(asked)))
    assert [position >= 0 for position in found.tolist()] == [key in stored for key in asked]


@given(KEYS)
def test_of_a_key_that_stands_twice_the_later_batch_counts(stored: list[bytes]) -> None:
    index = index_of(stored)
    found = index.find(keys_array(b"".join(stored)))
    batches, _ = index.locate(found)
    last = {key: number for number, key in enumerate(stored)}
    assert batches.tolist() == [last[key] for key in stored]
    assert len(index) == len(set(stored))


@given(KEYS, KEYS)
def test_two_that_are_joined_are_as_one_that_was_made_of_all(earlier: list[bytes], later: list[bytes]) -> None:
    whole = index_of([*earlier, *later])
    joined = index_of(earlier).joined(index_of(later, first=len(earlier)))
    assert len(joined) == len(whole)
    asked = keys_array(b"".join([*earlier, *later]))
    where, expected = joined.locate(joined.find(asked)), whole.locate(whole.find(asked))
    assert [part.tolist() for part in where] == [part.tolist() for part in expected]
    assert joined.flags(joined.find(asked)).tolist() == whole.flags(whole.find(asked)).tolist()


def test_the_flag_of_a_vector_comes_with_it() -> None:
    keys = [bytes([number]) * 16 for number in (7, 3, 5)]
    flags = np.array([0, 1, 0], dtype=np.uint8)
    index = KeyIndex(keys_array(b"".join(keys)), np.arange(3, dtype=np.int64), np.zeros(3, dtype=np.int32), flags)
    assert index.flags(index.find(keys_array(b"".join(keys)))).tolist() == [0, 1, 0]
