"""What a field name and a template promise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import ItemError, UsageError
from asyncrun.grammar.template import parse_template


@pytest.mark.parametrize(
    ("template", "record", "text"),
    [
        ("text", {"text": "a"}, "a"),
        ("a.b.c", {"a": {"b": {"c": "deep"}}}, "deep"),
        ("a.b", {"a.b": "flat", "a": {"b": "deep"}}, "flat"),
        ("{title}. {text}", {"title": "T", "text": "x"}, "T. x"),
        ("{a.b}-{ c }", {"a": {"b": 1}, "c": "2"}, "1-2"),
        ("{{{a}}} }}{{", {"a": "x"}, "{x} }{"),
        ("{a}{a}", {"a": "x"}, "xx"),
        ("{a}", {"a": "{b}"}, "{b}"),
        ("fixed {{}}", {}, "fixed {}"),
        ("n", {"n": 7}, "7"),
        ("n", {"n": 1.5}, "1.5"),
        ("n", {"n": 2**64 - 1}, "18446744073709551615"),
        ("n", {"n": True}, "true"),
        ("text", {"text": ""}, ""),
    ],
)
def test_fills(template: str, record: dict[str, Any], text: str) -> None:
    assert parse_template(template).fill(record) == text


@pytest.mark.parametrize(
    ("template", "record", "message"),
    [
        ("titel", {"title": "a", "id": 1}, "no field 'titel'; known: title, id; did you mean 'title'?"),
        ("{a.b}", {"a": {"c": 1}}, "no field 'a.b'; known: a"),
        ("a.b", {"a": "text"}, "no field 'a.b'; known: a"),
        ("a", {}, "no field 'a'; the record is empty"),
        ("a", {"a": None}, "the field 'a' is null, not a text"),
        ("a", {"a": [1]}, "the field 'a' is a list, not a text"),
        ("{a}", {"a": {"b": 1}}, "the field 'a' is an object, not a text"),
        ("a", {"a": 1e300}, "the field 'a' is a number too large to be read exactly; put it in quotes"),
        ("x", {str(n): n for n in range(99)}, "no field 'x'; known: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..."),
    ],
)
def test_names_the_field_that_cannot_be_used(template: str, record: dict[str, Any], message: str) -> None:
    with pytest.raises(ItemError) as caught:
        parse_template(template).fill(record)
    assert (caught.value.message, caught.value.reason) == (message, "bad_record")


@pytest.mark.parametrize("template", ["", "{", "}", "{}", "{ }", "a {b", "b} a", "{a{b}}", "{{a}"])
def test_refuses_what_is_no_template(template: str) -> None:
    with pytest.raises(UsageError):
        parse_template(template)


@given(st.tuples(st.text("{}a ") | st.text(), st.sampled_from("{}"), st.text("{}a ") | st.text()).map("".join))
def test_a_text_with_doubled_braces_is_itself(text: str) -> None:
    assert parse_template(text.replace("{", "{{").replace("}", "}}")).fill({}) == text
