"""Text in columns: never wider than asked for, whatever the characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.views.styled_text import columns, line_text, pad, shorten, shorten_start
from asyncrun.trace.views.table import Column, render_table


@given(st.text(), st.integers(0, 30))
def test_shortened_text_fits(text: str, width: int) -> None:
    short = shorten(text, width)
    assert columns(short) <= width
    assert short == text or short.endswith("…") or width == 0


@given(st.text(), st.integers(0, 30))
def test_of_a_text_whose_end_says_most_the_end_is_kept(text: str, width: int) -> None:
    short = shorten_start(text, width)
    assert columns(short) <= width
    assert text.endswith(short.removeprefix("…"))
    assert short == text or short.startswith("…") or width == 0


@given(st.text(), st.integers(0, 30), st.sampled_from("<>"))
def test_padded_text_fills_its_columns(text: str, width: int, align: str) -> None:
    assert columns(pad(text, width, align)) == width


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本語", 6), ("e\u0301", 1), ("👍", 2), ("", 0)])
def test_columns(text: str, width: int) -> None:
    assert columns(text) == width


def test_a_table_shortens_what_may_be_shortened_and_then_leaves_out_the_last_columns() -> None:
    layout = [Column("name", "<", 4), Column("n"), Column("note", "<", 4)]
    rows = [["a long name", "1", "a long note"]]
    assert list(map(line_text, render_table(layout, rows, 80))) == ["name         n  note", "a long name  1  a long note"]
    assert list(map(line_text, render_table(layout, rows, 20))) == ["name         n  note", "a long name  1  a l…"]
    assert list(map(line_text, render_table(layout, rows, 12))) == ["name       n", "a long n…  1"]
    assert list(map(line_text, render_table(layout, rows, 5))) == ["name", "a lo…"]
