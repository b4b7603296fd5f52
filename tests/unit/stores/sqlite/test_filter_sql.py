"""A compiled filter means in SQLite what the language says, and carries its values as parameters."""

import json
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun.grammar.filter import parse_filter
from asyncrun.stores.metadata_json import dump_metadata
from asyncrun.stores.sqlite.filter_sql import compile_filter
from asyncrun.testing.filters import filters, metadata, passes
from tests.depth import times


def answer(tree, about):
    """Return what SQLite says: True, False or None."""
    condition = compile_filter(tree, "metadata")
    with closing(sqlite3.connect(":memory:")) as connection:
        sql = f"SELECT {condition.sql} FROM (SELECT ? AS metadata)"
        # The inner question mark comes last in the text.
        (value,) = connection.execute(sql, (*condition.parameters, dump_metadata(about))).fetchone()
    return None if value is None else bool(value)


@settings(max_examples=times(quick=80, deep=400))
@given(filters(), metadata())
def test_sqlite_answers_as_the_language_says(tree, about):
    assert answer(tree, about) is passes(tree, about)


ABOUT = {
    "lang": "en",
    "year": 2024,
    "price": 2.0,
    "draft": True,
    "one": 1,
    "none": None,
    "tags": ["a"],
    "author": {"name": "Ann"},
    "text": "2024",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lang = 'en'", True),
        ("lang = 'EN'", False),
        ("lang != 'de'", True),
        ("lang < 'f' and lang > 'd'", True),
        ("year >= 2024 and year < 2024.5", True),
        ("price = 2", True),
        ("author.name = 'Ann'", True),
        ("year in (1, 2024)", True),
        ("year not in (1, 2)", True),
        # A missing field, null, a list and a mapping are compared with nothing.
        *[
            (f"{field} {condition}", None)
            for field in ("nowhere", "none", "tags", "author", "lang.deeper")
            for condition in ("= 1", "!= 1", "in (1, 'a')")
        ],
        ("not nowhere = 1", None),
        ("not (nowhere = 1 and lang = 'de')", True),
        ("nowhere = 1 or lang = 'en'", True),
        # Text, numbers and truth values are three types.
        ("year = '2024'", None),
        ("year != '2024'", None),
        ("not year = '2024'", None),
        ("text = 2024", None),
        ("text > 1", None),
        ("draft = 1", None),
        ("one = true", None),
        ("draft = true", True),
        ("draft != true", False),
        ("one in (true, 'x', 1)", True),
        ("not one in (true, 'x', 2)", True),
        ("not one in (true, 'x')", None),
    ],
)
def test_the_three_answers(text, expected):
    tree = parse_filter(text)
    assert answer(tree, ABOUT) is expected
    assert passes(tree, ABOUT) is expected


@given(st.text(st.characters(exclude_characters="\x00")))
def test_a_value_never_stands_in_the_sql(text):
    tree = parse_filter("lang = '" + text.replace("'", "''") + "'")
    condition = compile_filter(tree, "metadata")
    assert condition.sql == compile_filter(parse_filter("lang = 'en'"), "metadata").sql
    assert text.encode("utf-8", "surrogatepass") in condition.parameters


def test_large_and_long_numbers_are_compared_exactly():
    about = {"big": 2**53 + 1, "long": 0.1 + 0.2}
    assert answer(parse_filter(f"big = {2**53}"), about) is False
    assert answer(parse_filter(f"big > {2**53}"), about) is True
    assert answer(parse_filter(f"big = {2**53 + 1}"), about) is True
    assert answer(parse_filter("long = 0.30000000000000004"), about) is True
    assert answer(parse_filter("long = 0.3"), about) is False
    assert json.loads(dump_metadata(about)) == about
