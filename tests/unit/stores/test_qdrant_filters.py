"""Qdrant's conditions let through what the filter does, and else but what 64-bit floats and twelve bytes cannot tell apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.grammar.filter import And, Comparison, Filter, Membership, Not, Or, parse_filter
from asyncrun.stores.qdrant.filters import compile_filter, facts_of
from asyncrun.testing.filters import filters, metadata, passes

pytestmark = pytest.mark.needs("qdrant")


def lets_through(tree: Filter, about: dict[str, object]) -> bool:
    from qdrant_client import models
    from qdrant_client.local.payload_filters import check_filter

    condition = models.Filter.model_validate(compile_filter(tree))
    return bool(check_filter(condition, {"facts": facts_of(json.loads(json.dumps(about)))}, "an-id", {}))


def orders(tree: Filter) -> bool:
    match tree:
        case Comparison(_, sign, _):
            return sign not in ("=", "!=")
        case Membership():
            return False
        case Not(term):
            return orders(term)
        case And(terms) | Or(terms):
            return any(map(orders, terms))


@given(filters(), metadata())
def test_what_passes_is_let_through_and_without_an_order_nothing_else(tree: Filter, about: dict[str, object]) -> None:
    passing = passes(tree, about) is True
    assert lets_through(tree, about) >= passing
    if not orders(tree):
        assert lets_through(tree, about) == passing


@given(st.integers(-(2**52), 2**52), st.integers(-(2**52), 2**52), st.sampled_from(["<", ">", "<=", ">="]))
def test_numbers_are_ordered_on_the_server(number: int, other: int, sign: str) -> None:
    if number != other:
        tree = parse_filter(f"n {sign} {other}")
        assert lets_through(tree, {"n": number}) == passes(tree, {"n": number})


@pytest.mark.parametrize(
    ("filter", "right"),
    [("day >= '2024-03-01'", "2024-03-02"), ("day < '2024-03-01'", "2024-02-29"), ("day > 'a'", "ä"), ("not day >= '2024'", "2023-12-31")],
)
def test_dates_and_short_texts_are_ordered_on_the_server(filter: str, right: str) -> None:
    wrong = {"2024-03-02": "2024-02-29", "2024-02-29": "2024-03-02", "ä": "2024", "2023-12-31": "2024-01-01"}[right]
    assert lets_through(parse_filter(filter), {"day": right})
    assert not lets_through(parse_filter(filter), {"day": wrong})
    assert not lets_through(parse_filter(filter), {"day": 20240302})


def test_no_word_of_a_user_is_in_a_condition() -> None:
    written = json.dumps(compile_filter(parse_filter("secretfield = 'secretvalue' and secretfield in ('secretvalue', 'secret2')")))
    assert "secret" not in written
