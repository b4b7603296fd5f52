"""Checksums of rows: what is damaged, missing, twice there or in another's place changes them."""

from __future__ import annotations

from functools import reduce

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.stores.sqlite.checksums import NO_SUMS, Sums, chunk_sum, document_sum, mixed, numbers, signed, total

WORDS = st.integers(0, 2**64 - 1)
SUMS = st.builds(Sums, WORDS, WORDS, WORDS)


@given(WORDS, WORDS, st.integers(0, 63))
def test_every_bit_of_a_row_changes_its_word(first: int, second: int, bit: int) -> None:
    assert mixed(first ^ 1 << bit, second) != mixed(first, second)
    assert mixed(first, second ^ 1 << bit) != mixed(first, second)


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**32 - 1)), min_size=1, max_size=20))
def test_rows_are_mixed_one_by_one_as_together(rows: list[tuple[int, int]]) -> None:
    one_by_one = [mixed(number % 2**64, other) for number, other in rows]
    together = mixed(numbers([number for number, _ in rows]), np.array([other for _, other in rows], dtype=np.uint64))
    assert together.tolist() == one_by_one
    assert total(together) == sum(one_by_one) % 2**64


@given(st.lists(SUMS, min_size=1, max_size=6))
def test_sums_do_not_hang_on_the_order_and_forget_what_is_taken_out(parts: list[Sums]) -> None:
    whole = reduce(Sums.__add__, parts, NO_SUMS)
    assert reduce(Sums.__add__, reversed(parts), NO_SUMS) == whole
    assert reduce(Sums.__sub__, parts, whole) == NO_SUMS


@given(WORDS)
def test_a_word_comes_back_from_the_file(word: int) -> None:
    assert -(2**63) <= signed(word) < 2**63
    assert signed(word) % 2**64 == word


@given(st.lists(st.binary(max_size=9), min_size=4, max_size=4), st.integers(0, 3), st.integers(0, 71))
def test_a_flipped_bit_of_any_part_is_seen(parts: list[bytes], which: int, bit: int) -> None:
    if bit >= 8 * len(parts[which]):
        return
    damaged = bytearray(parts[which])
    damaged[bit // 8] ^= 1 << bit % 8
    others = [*parts[:which], bytes(damaged), *parts[which + 1 :]]
    assert document_sum(1, 2, *parts) != document_sum(1, 2, *others)
    assert chunk_sum("1 2 0 0 9", *parts) != chunk_sum("1 2 0 0 9", *others)
