"""A person reads every duration in the same form."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.humanize import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0, "0 s"), (0.0005, "0.001 s"), (0.25, "0.25 s"), (0.9996, "1 s"), (8.22, "8.22 s"), (9.996, "10 s"), (12.34, "12.3 s")),
        *(
            (59.94, "59.9 s"),
            (59.96, "1m 00s"),
            (388, "6m 28s"),
            (3599.7, "1h 00m"),
            (7500, "2h 05m"),
            (86_400, "24h 00m"),
            (1e308, "over a year"),
        ),
    ],
)
def test_it_has_three_digits_below_a_minute_and_whole_units_above(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_clock_that_went_back_says_no_negative_time() -> None:
    assert duration(-1.0) == "0 s"


@given(st.floats(0, 1e7))
def test_no_duration_has_another_form(seconds: float) -> None:
    assert re.fullmatch(r"[1-5]?\d(\.\d{1,3})? s|[1-5]?\dm [0-5]\ds|\d+h [0-5]\dm", duration(seconds))
