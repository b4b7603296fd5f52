import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.aio.throttling import Gate


@given(hint=st.floats(0, 1000), seed=st.integers())
def test_it_stays_shut_for_the_hint_and_at_most_a_tenth_more(hint: float, seed: int) -> None:
    gate = Gate(random.Random(seed))
    gate.shut(0.0, hint, first=True)

    assert hint <= gate.wait(0.0) <= 1.1 * max(hint, 1.0)


def test_without_a_hint_the_backoff_doubles_with_each_throttle_in_a_row() -> None:
    gate, waits, now = Gate(random.Random(1)), [], 0.0
    for _ in range(10):
        gate.shut(now, None, first=True)
        waits.append(gate.wait(now))
        now += waits[-1]

    for number, wait in enumerate(waits, start=1):
        ceiling = min(60.0, 0.5 * 2**number)
        assert ceiling / 2 <= wait <= 1.1 * ceiling


def test_a_shorter_wait_never_opens_it_earlier() -> None:
    gate = Gate(random.Random(1))
    gate.shut(0.0, 30.0, first=True)
    gate.shut(1.0, 0.0, first=False)

    assert gate.wait(1.0) >= 29.0


@pytest.mark.parametrize("hint", [math.nan, math.inf])
def test_a_hint_that_is_no_time_counts_as_none(hint: float) -> None:
    gate = Gate(random.Random(1))
    gate.shut(0.0, hint, first=True)

    assert 0 < gate.wait(0.0) <= 1.1


def test_only_a_request_that_went_after_it_opened_proves_recovery() -> None:
    gate = Gate(random.Random(1))
    gate.shut(10.0, 5.0, first=True)

    gate.succeeded(sent=9.0)
    assert gate.recovering

    gate.succeeded(sent=gate.opens_at)
    assert not gate.recovering
