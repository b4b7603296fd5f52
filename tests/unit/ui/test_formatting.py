from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import Place
from asyncrun.records import ItemFailure
from asyncrun.results import Counts
from asyncrun.ui.formatting import render_counts, render_failure, render_rate


def test_a_slow_rate_is_said_per_minute() -> None:
    assert render_rate(1 / 30) == "2.0/min"


def test_counts_always_say_how_many_are_ok() -> None:
    assert render_counts(Counts()) == "0 ok"
    assert render_counts(Counts(ok=1200, skipped=2, removed=3, truncated=4)) == "1,200 ok, 2 skipped, 3 removed, 4 truncated"


@given(st.text(), st.text(), st.text())
def test_a_failure_is_one_line_without_controls_whatever_the_data_hold(task: str, ident: str, message: str) -> None:
    line = render_failure(task, ItemFailure(ident, Place(ident, 3), "refused", message))
    controls = [char for char in line if unicodedata.category(char) in ("Cc", "Cs") and char != "\t"]
    assert controls == []
    assert len(line.splitlines()) == 1


def test_an_id_is_not_shown_without_end() -> None:
    assert len(render_failure("a", ItemFailure("n" * 2_000_000, Place("f"), "refused", "x"))) < 300


def test_the_words_of_a_server_are_not_shown_without_end() -> None:
    assert len(render_failure("a", ItemFailure("n", Place("f"), "refused", "x" * 10_000))) < 400
