"""Texts that cannot be sent are set aside with a reason, and a key says what a vector was made from."""

import pytest

from asyncrun.embedders.long_and_empty_texts import find_sendable, key_text


def test_empty_and_broken_texts_are_set_aside_and_the_rest_goes_on():
    ready, failures = find_sendable(["a", "", " \n\t\u3000", "\ud800", "\x00", "b"], "fail")
    assert ready == [0, 4, 5]
    assert [(failure.position, failure.reason) for failure in failures] == [(1, "empty"), (2, "empty"), (3, "bad_text")]


def test_empty_texts_are_skipped_where_the_policy_says_so():
    assert [failure.reason for failure in find_sendable(["", "\ud800"], "skip")[1]] == ["skipped", "bad_text"]


@pytest.mark.parametrize("policy", ["fail", "truncate", "split"])
def test_a_text_that_fits_has_the_same_key_under_every_policy(policy):
    assert key_text("x" * 256, policy, 256) == "x" * 256
    assert key_text("x" * 256, policy, None) == "x" * 256


@pytest.mark.parametrize("limit", [256, None])
def test_a_text_that_may_be_cut_or_split_has_a_key_for_each(limit):
    text = "é" * 129  # 258 bytes
    keys = {key_text(text, policy, limit) for policy in ("fail", "truncate", "split")}
    assert len(keys) == 3
    assert key_text(text, "fail", limit) == text


def test_another_limit_is_another_cut():
    assert key_text("x" * 600, "truncate", 512) != key_text("x" * 600, "truncate", 256)
