from __future__ import annotations

from asyncrun.results import Counts
from asyncrun.ui.formatting import render_counts, render_rate


def test_a_slow_rate_is_said_per_minute() -> None:
    assert render_rate(1 / 30) == "2.0/min"


def test_counts_always_say_how_many_are_ok() -> None:
    assert render_counts(Counts()) == "0 ok"
    assert render_counts(Counts(ok=1200, skipped=2, removed=3, truncated=4)) == "1,200 ok, 2 skipped, 3 removed, 4 truncated"
