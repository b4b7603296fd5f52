import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.testing.quota import Meters, Quota

arrivals = st.lists(st.tuples(st.floats(0, 30), st.integers(1, 12)), max_size=60)


@given(arrivals, st.integers(1, 20), st.floats(0.5, 60))
def test_no_window_wherever_it_is_laid_admits_more_than_the_quota(arrivals: list[tuple[float, int]], limit: int, seconds: float) -> None:
    meters, now, taken = Meters(Quota(tokens=limit, seconds=seconds)), 0.0, []
    for pause, amount in arrivals:
        now += pause
        if meters.admit({"requests": 1, "tokens": amount}, now) == 0:
            taken.append((now, amount))
    for start, _ in taken:
        assert sum(amount for at, amount in taken if start <= at < start + seconds) <= limit


def test_a_refused_request_is_taken_after_the_time_that_was_told_and_not_before() -> None:
    meters = Meters(Quota(requests=2, inputs=10, seconds=60))
    assert [meters.admit({"requests": 1, "inputs": 5}, at) for at in (0.0, 20.0)] == [0, 0]
    assert meters.admit({"requests": 1, "inputs": 1}, 30.0) == 30
    assert meters.admit({"requests": 1, "inputs": 6}, 59.9) == pytest.approx(20.1)
    assert meters.admit({"requests": 1, "inputs": 5}, 60.0) == 0


def test_a_request_that_is_larger_than_the_quota_is_never_taken() -> None:
    assert Meters(Quota(tokens=10)).admit({"tokens": 11}, 0.0) == math.inf


def test_what_is_left_is_told_as_openai_tells_it() -> None:
    meters = Meters(Quota(requests=3, tokens=100, seconds=60))
    meters.admit({"requests": 1, "tokens": 40}, 0.0)
    assert meters.headers(15.0) == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "45000ms",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "60",
        "x-ratelimit-reset-tokens": "45000ms",
    }
    assert Meters(Quota(requests=3, told=False)).headers(0.0) == {}
