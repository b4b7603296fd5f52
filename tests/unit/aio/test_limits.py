import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.aio.limits import Meter, Rates, StatedLimit

LIMITS = st.integers(1, 300)


def send_all(meter: Meter, arrivals: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Send units as early as the meter allows, in order; return (time, units) as sent."""
    now, sent = 0.0, []
    for pause, units in arrivals:
        now += pause
        while (at := meter.ready_at(now, units)) > now:
            now = at
        meter.take(now, units)
        sent.append((now, units))
    return sent


def fullest_window(sent: list[tuple[float, float]], seconds: float = 60.0) -> float:
    return max((sum(units for at, units in sent if start <= at < start + seconds) for start, _ in sent), default=0.0)


@given(limit=LIMITS, pauses=st.lists(st.one_of(st.just(0.0), st.floats(0, 100)), max_size=120))
def test_no_window_of_60_s_holds_more_requests_than_the_limit(limit: int, pauses: list[float]) -> None:
    sent = send_all(Meter(limit, start=0.0), [(pause, 1) for pause in pauses])

    assert fullest_window(sent) <= limit


@given(limit=st.integers(100, 1000), arrivals=st.lists(st.tuples(st.floats(0, 70), st.integers(0, 100)), max_size=60))
def test_no_window_of_60_s_holds_more_tokens_than_the_limit(limit: int, arrivals: list[tuple[float, int]]) -> None:
    sent = send_all(Meter(limit, start=0.0), [(pause, float(units)) for pause, units in arrivals])

    assert fullest_window(sent) <= limit


@pytest.mark.parametrize("limit", [1, 60, 600, 6000])
def test_at_least_99_percent_of_the_limit_is_used(limit: int) -> None:
    sent = send_all(Meter(limit, start=0.0), [(0.0, 1)] * (limit + 1))

    assert sum(1 for at, _ in sent if at < 60) >= 0.99 * limit


def test_the_first_request_goes_at_once_and_no_burst_follows() -> None:
    sent = send_all(Meter(60, start=0.0), [(0.0, 1)] * 4)

    assert [round(at, 3) for at, _ in sent] == [0.0, 1.005, 2.01, 3.015]


def test_at_most_one_idle_second_is_made_up_for() -> None:
    meter = Meter(600, start=0.0)
    meter.take(0.0, 1)

    sent = send_all(meter, [(30.0, 1)] * 1 + [(0.0, 1)] * 20)

    assert sum(1 for at, _ in sent if at == 30.0) in (10, 11)


def test_what_exceeds_the_limit_goes_alone_when_the_last_minute_is_empty() -> None:
    meter = Meter(100, start=0.0)
    meter.take(0.0, 50)

    at = meter.ready_at(1.0, 500)
    assert 60 < at < 61

    meter.take(at, 500)
    assert meter.ready_at(at, 1) > at + 60


def test_an_overestimate_is_given_back() -> None:
    meter = Meter(100, start=0.0)
    sent = meter.take(0.0, 100)
    assert meter.ready_at(1.0, 50) > 60

    meter.correct(sent, 1)

    assert meter.ready_at(1.0, 50) < 2


def test_an_underestimate_is_paid_for_by_the_next() -> None:
    meter = Meter(100, start=0.0)
    sent = meter.take(0.0, 1)

    meter.correct(sent, 80)

    assert meter.ready_at(0.0, 10) == pytest.approx(80 / (0.995 * 100 / 60))


def test_a_correction_after_the_minute_does_not_count_twice() -> None:
    meter = Meter(100, start=0.0)
    old = meter.take(0.0, 10)
    assert meter.ready_at(70.0, 90) == 70.0
    meter.take(70.0, 90)

    meter.correct(old, 0)

    assert meter.ready_at(70.0, 20) > 130


def test_nothing_goes_before_the_time_it_is_held_until_and_nothing_is_saved_up() -> None:
    meter = Meter(600, start=0.0)
    meter.hold(40.0)

    sent = send_all(meter, [(10.0, 1), (0.0, 1), (0.0, 1)])

    assert [round(at, 2) for at, _ in sent] == [40.0, 40.1, 40.2]


def test_all_units_must_allow_a_request() -> None:
    rates = Rates({"requests": 6000.0, "tokens": 600.0, "inputs": None}, start=0.0)
    rates.take(0.0, {"requests": 1, "tokens": 10, "inputs": 1_000_000})

    assert rates.wait(0.0, {"requests": 1, "tokens": 10, "inputs": 5}) == pytest.approx(10 / 9.95)


def test_a_learned_limit_holds_from_then_on_and_never_replaces_a_stated_one() -> None:
    rates = Rates({"requests": 60.0, "tokens": None}, start=0.0)
    rates.learn("requests", StatedLimit(6000.0), now=0.0)
    rates.learn("tokens", StatedLimit(60.0), now=0.0)

    reservation = rates.take(0.0, {"requests": 1, "tokens": 10})
    assert rates.wait(0.0, {"requests": 1, "tokens": 1}) == pytest.approx(10.05, abs=0.01)

    rates.correct(reservation, "tokens", 1)
    assert rates.wait(0.0, {"requests": 1, "tokens": 1}) == pytest.approx(1.005, abs=0.001)
