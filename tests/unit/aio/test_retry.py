import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.aio.retry import Backoff, FailureClass, GiveUp, RetryBudget, RetryPolicy, decide

POLICY = RetryPolicy()
HINTS = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
FINAL = [
    FailureClass.AUTH,
    FailureClass.CONFIG,
    FailureClass.QUOTA,
    FailureClass.TOO_BIG,
    FailureClass.TOO_LONG,
    FailureClass.ITEM,
    FailureClass.UNKNOWN,
]


def ask(failure: FailureClass, attempt: int = 1, hint: float | None = None, elapsed: float = 0.0, seed: int = 1) -> Backoff | GiveUp:
    return decide(attempt, failure, hint, elapsed, policy=POLICY, rng=random.Random(seed))


@pytest.mark.parametrize("failure", FINAL)
def test_an_answer_that_does_not_change_is_never_asked_for_again(failure: FailureClass) -> None:
    assert ask(failure) == GiveUp(failure.value)


@given(attempt=st.integers(1, 5), seed=st.integers())
def test_a_transient_failure_backs_off_by_full_jitter(attempt: int, seed: int) -> None:
    decision = ask(FailureClass.TRANSIENT, attempt, seed=seed)

    assert isinstance(decision, Backoff)
    assert 0 <= decision.seconds <= min(60, 0.5 * 2**attempt)


def test_the_sixth_transient_failure_is_the_last() -> None:
    assert isinstance(ask(FailureClass.TRANSIENT, 5), Backoff)
    assert isinstance(ask(FailureClass.TRANSIENT, 6), GiveUp)


def test_a_bad_response_is_asked_for_twice_more() -> None:
    assert [type(ask(FailureClass.BAD_RESPONSE, attempt)) for attempt in (1, 2, 3)] == [Backoff, Backoff, GiveUp]


@given(attempt=st.integers(1, 100_000), seed=st.integers())
def test_a_throttle_waits_at_least_half_the_backoff_and_uses_no_attempts(attempt: int, seed: int) -> None:
    decision = ask(FailureClass.THROTTLE, attempt, seed=seed)
    ceiling = min(60, 0.5 * 2 ** min(attempt, 20))

    assert isinstance(decision, Backoff)
    assert ceiling / 2 <= decision.seconds <= ceiling


@pytest.mark.parametrize("failure", [FailureClass.THROTTLE, FailureClass.TRANSIENT])
def test_the_server_s_hint_is_the_least_wait(failure: FailureClass) -> None:
    decision = ask(failure, hint=100.0)

    assert isinstance(decision, Backoff)
    assert decision.seconds == 100.0


@pytest.mark.parametrize("failure", [FailureClass.THROTTLE, FailureClass.TRANSIENT])
def test_a_hint_beyond_patience_stops(failure: FailureClass) -> None:
    assert ask(failure, hint=86400.0) == GiveUp("the server asks to wait 24h 00m")
    assert ask(failure, hint=1e308) == GiveUp("the server asks to wait over a year")


@pytest.mark.parametrize("hint", [math.nan, math.inf, -math.inf, -1.0])
def test_a_hint_that_is_no_time_counts_as_none(hint: float) -> None:
    assert ask(FailureClass.THROTTLE, hint=hint) == ask(FailureClass.THROTTLE)


def test_throttles_end_at_max_wait() -> None:
    assert isinstance(ask(FailureClass.THROTTLE, elapsed=890.0, hint=5.0), Backoff)
    assert isinstance(ask(FailureClass.THROTTLE, elapsed=890.0, hint=11.0), GiveUp)


@given(attempt=st.integers(1, 10**9), failure=st.sampled_from(FailureClass), hint=HINTS, elapsed=st.floats(0, 1e6), seed=st.integers())
def test_every_decision_is_a_finite_wait_within_max_wait_or_a_stop(
    attempt: int, failure: FailureClass, hint: float | None, elapsed: float, seed: int
) -> None:
    decision = decide(attempt, failure, hint, elapsed, policy=POLICY, rng=random.Random(seed))

    if isinstance(decision, Backoff):
        assert 0 <= decision.seconds <= max(60, POLICY.max_hint)
        assert failure is not FailureClass.THROTTLE or elapsed + decision.seconds <= POLICY.max_wait
    else:
        assert decision.reason
    assert decision == decide(attempt, failure, hint, elapsed, policy=POLICY, rng=random.Random(seed))


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"max_wait": -1.0}, {"base": -0.5}])
def test_a_policy_without_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]


def test_the_budget_of_a_run_allows_35_retries_and_then_one_a_second() -> None:
    budget = RetryBudget()

    waits = [budget.spend(now=0.0) for _ in range(38)]

    assert waits[:36] == [0.0] * 36
    assert waits[36:] == [1.0, 2.0]


def test_an_idle_run_saves_up_no_probes() -> None:
    budget = RetryBudget(capacity=0)
    budget.spend(now=0.0)

    assert [budget.spend(now=100.0), budget.spend(now=100.0)] == [0.0, 1.0]


def test_success_fills_the_budget_up_to_its_capacity() -> None:
    budget = RetryBudget(capacity=500)
    budget.spend(now=0.0)
    budget.succeeded(retried=False)
    assert budget.left == 487

    budget.succeeded(retried=True)
    assert budget.left == 500
