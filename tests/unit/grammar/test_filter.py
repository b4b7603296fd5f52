"""The filter language is parsed as documented, or refused with the position and what was expected there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import UsageError
from asyncrun.grammar.filter import MAX_DEPTH, MAX_WORDS, And, Comparison, Membership, Not, Or, parse_filter
from asyncrun.testing.filters import filters, render_filter

A = Comparison(("a",), "=", 1)
B = Comparison(("b",), "=", 2)
C = Comparison(("c",), "=", 3)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("lang = 'en'", Comparison(("lang",), "=", "en")),
        ("lang='it''s'", Comparison(("lang",), "=", "it's")),
        ("lang = ''", Comparison(("lang",), "=", "")),
        ("lang = 'a\nb and c'", Comparison(("lang",), "=", "a\nb and c")),
        ("year>=2024", Comparison(("year",), ">=", 2024)),
        ("year < -5", Comparison(("year",), "<", -5)),
        ("p <= +.5", Comparison(("p",), "<=", 0.5)),
        ("p > 1.5e-3", Comparison(("p",), ">", 0.0015)),
        ("draft != TRUE", Comparison(("draft",), "!=", True)),
        ("author.name.first = 'x'", Comparison(("author", "name", "first"), "=", "x")),
        ("content-type = 'x'", Comparison(("content-type",), "=", "x")),
        ("größe.0 = 1", Comparison(("größe", "0"), "=", 1)),
        ("order = 1", Comparison(("order",), "=", 1)),
        ("lang in ('en')", Membership(("lang",), ("en",))),
        ("lang IN ('en', 2,false)", Membership(("lang",), ("en", 2, False))),
        ("lang not in ('en')", Not(Membership(("lang",), ("en",)))),
        ("a = 1 or b = 2 and c = 3", Or((A, And((B, C))))),
        ("(a = 1 or b = 2) and c = 3", And((Or((A, B)), C))),
        ("a = 1 and b = 2 AND c = 3", And((A, B, C))),
        ("not a = 1 and b = 2", And((Not(A), B))),
        ("not (a = 1 and b = 2)", Not(And((A, B)))),
        ("not not a = 1", Not(Not(A))),
        ("  ((a = 1))\n", A),
    ],
)
def test_a_filter_is_parsed(text, tree):
    assert repr(parse_filter(text)) == repr(tree)


@pytest.mark.parametrize(
    ("text", "position", "why"),
    [
        ("", 1, "expected a field, 'not' or '(', found the end"),
        ("lang", 5, "expected = != < <= > >= or 'in', found the end"),
        ("lang en", 6, "expected = != < <= > >= or 'in', found 'en'"),
        ("lang = en", 8, "expected a value ('text', a number, true or false), found 'en'"),
        ('lang = "en"', 8, "expected a value ('text', a number, true or false), found '\"'"),
        ("lang == 'en'", 7, "expected a value ('text', a number, true or false), found '='"),
        ("lang = 'en", 8, "a text that is not closed"),
        ("a = 1 b = 2", 7, "expected 'and', 'or' or the end, found 'b'"),
        ("a = 1 and", 10, "expected a field, 'not' or '(', found the end"),
        ("(a = 1", 7, "expected 'and', 'or' or ')', found the end"),
        ("a = 1)", 6, "expected 'and', 'or' or the end, found ')'"),
        ("a in 1", 6, "expected '(', found '1'"),
        ("a in ()", 7, "expected a value ('text', a number, true or false), found ')'"),
        ("a in (1 2)", 9, "expected ',' or ')', found '2'"),
        ("a not 1", 7, "expected 'in', found '1'"),
        ("in = 1", 1, "expected a field, 'not' or '(', found 'in'"),
        ("a < true", 3, "true and false have no order"),
        ("a = 1e999", 5, "a number too large"),
        ("a = 1x", 5, "expected a value"),
        ("a = 1; drop table x", 6, "expected 'and', 'or' or the end, found ';'"),
        ("(" * (MAX_DEPTH + 1), MAX_DEPTH + 1, f"nested deeper than {MAX_DEPTH}"),
        ("not " * MAX_DEPTH + "not a = 1", 4 * MAX_DEPTH + 1, f"nested deeper than {MAX_DEPTH}"),
    ],
)
def test_a_mistake_is_told_with_its_place(text, position, why):
    with pytest.raises(UsageError) as caught:
        parse_filter(text)
    assert f", position {position}: {why}" in str(caught.value)
    assert "lang = 'en'" in caught.value.hint


def test_a_filter_without_end_is_refused():
    with pytest.raises(UsageError, match=f"longer than {MAX_WORDS:,} words"):
        parse_filter(" and ".join(["a = 1"] * MAX_WORDS))


def test_control_characters_do_not_reach_the_message():
    with pytest.raises(UsageError) as caught:
        parse_filter("a = \x1b[31m\u202e")
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    try:
        parse_filter(text)
    except UsageError as error:
        assert "position" in str(error)


@given(
    st.lists(
        st.sampled_from(
            ["a", "b.c", "=", "<=", "'x'", "'", "1", "-1e9", "9" * 5_000, "(", ")", ",", "and", "or", "not", "in", "true", "é", "\0"]
        )
    )
)
def test_any_row_of_words_is_parsed_or_refused(words):
    try:
        parse_filter(" ".join(words))
    except UsageError as error:
        assert "position" in str(error)


@given(filters())
def test_what_is_written_is_what_is_read(tree):
    assert repr(parse_filter(render_filter(tree))) == repr(tree)
