"""A filter says of metadata what the contract's own, independent reading of the language says."""

from hypothesis import given

from asyncrun.grammar.filter_match import matches
from asyncrun.testing.filters import filters, metadata, passes


@given(filters(), metadata())
def test_a_filter_matches_as_the_contract_says(tree, about):
    assert matches(tree, about) is passes(tree, about)
