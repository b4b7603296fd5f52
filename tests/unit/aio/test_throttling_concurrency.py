import pytest

from asyncrun.aio.throttling import AdaptiveConcurrency


def succeed(concurrency: AdaptiveConcurrency, times: int) -> None:
    for _ in range(times):
        concurrency.succeeded()


def test_it_starts_at_two_and_grows_by_one_a_window_up_to_the_cap() -> None:
    concurrency = AdaptiveConcurrency(cap=4)
    seen = [concurrency.limit]
    for window in (2, 3, 4, 4):
        succeed(concurrency, window)
        seen.append(concurrency.limit)

    assert seen == [2, 3, 4, 4, 4]


def test_a_throttle_halves_it_and_one_is_the_least() -> None:
    concurrency = AdaptiveConcurrency(cap=8)
    succeed(concurrency, 2 + 3 + 4 + 5 + 6 + 7)
    seen = []
    for now in range(1, 6):
        concurrency.throttled(sent=now - 0.5, now=now)
        seen.append(concurrency.limit)

    assert seen == [4, 2, 1, 1, 1]


def test_a_timeout_takes_a_tenth() -> None:
    concurrency = AdaptiveConcurrency(cap=100)
    succeed(concurrency, sum(range(2, 20)))
    assert concurrency.limit == 20

    concurrency.timed_out(sent=0.0, now=60.0)

    assert concurrency.limit == 18


def test_a_volley_of_failures_cuts_once() -> None:
    concurrency = AdaptiveConcurrency(cap=8)
    succeed(concurrency, 2 + 3 + 4 + 5 + 6 + 7)

    news = [concurrency.throttled(sent=0.1 * number, now=5.0) for number in range(8)]

    assert news == [True] + [False] * 7
    assert concurrency.limit == 4


def test_not_adaptive_it_never_moves() -> None:
    concurrency = AdaptiveConcurrency(cap=3, adaptive=False)
    succeed(concurrency, 10)
    concurrency.throttled(sent=0.0, now=1.0)
    concurrency.timed_out(sent=2.0, now=3.0)

    assert concurrency.limit == 3


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="concurrency"):
        AdaptiveConcurrency(cap=0)
