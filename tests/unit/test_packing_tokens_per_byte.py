"""How large batches may be is learned from what a server counts, and only when it has counted enough."""

import pytest

from asyncrun.packing import ENOUGH_BYTES, MARGIN, TokensPerByte, safe_bound


def test_little_is_believed_for_the_mean_and_not_for_the_bound():
    per_byte = TokensPerByte()
    assert 0 < per_byte.mean < 1
    per_byte.add(tokens=(ENOUGH_BYTES - 4) // 4, size=ENOUGH_BYTES - 4)
    assert (per_byte.mean, per_byte.bound) == (0.25, safe_bound())


def test_enough_is_believed_with_a_margin():
    per_byte = TokensPerByte()
    for _ in range(2):
        per_byte.add(tokens=ENOUGH_BYTES // 8, size=ENOUGH_BYTES // 2)
    assert per_byte.bound == pytest.approx(0.25 * MARGIN)


def test_the_bound_is_never_above_the_safe_one():
    per_byte = TokensPerByte()
    per_byte.add(tokens=ENOUGH_BYTES, size=ENOUGH_BYTES)
    assert per_byte.bound == safe_bound()
