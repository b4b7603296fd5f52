"""Durations, sizes, percentages and thresholds are read as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.jobfile.units import Threshold, parse_duration, parse_share, parse_size, parse_threshold


@pytest.mark.parametrize(
    ("typed", "seconds"), [(1, 1.0), (0.5, 0.5), ("90", 90.0), ("500ms", 0.5), ("1.5h", 5400.0), ("10 s", 10.0), ("30d", 2592000.0)]
)
def test_durations(typed, seconds):
    assert parse_duration(typed) == seconds


@pytest.mark.parametrize(
    ("typed", "size"), [(10, 10), ("10", 10), ("2MB", 2_000_000), ("1.5kb", 1500), ("1MiB", 1 << 20), ("3 GB", 3 * 10**9)]
)
def test_sizes(typed, size):
    assert parse_size(typed) == size


@pytest.mark.parametrize(
    "typed", [0, "0s", -1, "-1s", "1h30m", "s", "", "1 fortnight", "1e3", "1%", float("nan"), "٣s", "20000000d", 1e300]
)
def test_no_durations(typed):
    with pytest.raises(ValueError):
        parse_duration(typed)


@pytest.mark.parametrize("typed", [0, "0.5", -1, "1s", "MB", "1.0005KB0", "1%"])
def test_no_sizes(typed):
    with pytest.raises(ValueError):
        parse_size(typed)


@pytest.mark.parametrize("typed", [0.5, "1.5", "-1", "101%", "x", "1 MB"])
def test_no_thresholds(typed):
    with pytest.raises(ValueError):
        parse_threshold(typed)


@pytest.mark.parametrize("typed", ["0%", "50", 1, "101%"])
def test_no_shares(typed):
    with pytest.raises(ValueError):
        parse_share(typed)


@given(st.integers(0, 100), st.integers(0, 10**9))
def test_a_percentage_of_some_is_rounded_up(percent, total):
    assert parse_threshold(f"{percent}%").of(total) == -(-percent * total // 100)


def test_a_threshold_shows_as_it_is_written():
    assert (str(Threshold(count=3)), str(Threshold(percent=1.0)), str(Threshold(percent=12.5))) == ("3", "1%", "12.5%")
