"""Requests are told apart by ids that say of which batch they are."""

from __future__ import annotations

import pytest

from asyncrun.batches.interface import parse_request_id, request_id

TAG = "0123456789abcdefghij"
OTHERS = (
    "request-1",
    TAG,
    f"{TAG}-",
    f"{TAG}-x",
    f"{TAG}-1 ",
    f"{TAG}-01",
    f"{TAG}-\u0662",
    f"{TAG}-{10**9}",
    f"-{TAG}",
    f"{TAG}x-1",
    None,
    7,
)


@pytest.mark.parametrize("number", [0, 1, 10, 999_999_999])
def test_an_id_says_which_request_of_which_batch_it_is(number: int) -> None:
    assert parse_request_id(request_id(TAG, number)) == (TAG, number)


@pytest.mark.parametrize("custom_id", OTHERS)
def test_what_was_not_written_here_is_none_of_ours(custom_id: object) -> None:
    assert parse_request_id(custom_id) is None
