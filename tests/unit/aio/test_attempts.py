import asyncio
import math
import random
from collections.abc import Sequence

import pytest

from asyncrun.aio.attempts import AttemptCounts, with_retries
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import CircuitBreaker, FailureClass, RetryBudget, RetryPolicy
from asyncrun.errors import OutageError, ThrottledError
from asyncrun.testing.clock import FakeClock
from asyncrun.usage import Waits


class Refusal(Exception):
    def __init__(self, failure: FailureClass, hint: float | None = None) -> None:
        super().__init__(failure.value)
        self.failure, self.hint = failure, hint


def transient() -> Refusal:
    return Refusal(FailureClass.TRANSIENT)


def throttle(hint: float | None = None) -> Refusal:
    return Refusal(FailureClass.THROTTLE, hint)


class Endpoint:
    """Answers as scripted; one request takes a second."""

    def __init__(self, clock: FakeClock, script: Sequence[Exception | str]) -> None:
        self.clock, self.script, self.calls = clock, list(script), []

    async def __call__(self, attempt: int) -> str:
        self.calls.append((attempt, self.clock.monotonic()))
        await self.clock.sleep(1)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Run:
    """What the batches of a run share."""

    def __init__(self, policy: RetryPolicy | None = None, threshold: int = 20, capacity: float = 500.0, **limits: float) -> None:
        self.clock = FakeClock()
        self.policy = policy or RetryPolicy()
        self.circuit = CircuitBreaker(threshold)
        self.budget = RetryBudget(capacity)
        self.limiter = Limiter(Limits(**limits), self.clock, random.Random(1))

    def endpoint(self, *script: Exception | str) -> Endpoint:
        return Endpoint(self.clock, script)

    async def ask(self, endpoint: Endpoint, counts: AttemptCounts | None = None, tokens: float = 0, used: int | None = None) -> str:
        return await with_retries(
            endpoint,
            policy=self.policy,
            budget=self.budget,
            circuit=self.circuit,
            limiter=self.limiter,
            clock=self.clock,
            rng=random.Random(1),
            tokens=tokens,
            inputs=1,
            classify=lambda error: (error.failure, error.hint) if isinstance(error, Refusal) else (FailureClass.TRANSIENT, None),
            used=None if used is None else lambda value: used,
            counts=counts,
        )


@pytest.mark.asyncio
async def test_a_value_comes_back_with_attempts_and_seconds() -> None:
    run, counts = Run(), AttemptCounts()

    assert await run.ask(run.endpoint("ok"), counts) == "ok"
    assert counts.attempts == 1
    assert counts.waits == Waits(request=1.0)


@pytest.mark.asyncio
async def test_a_transient_failure_is_tried_again_after_a_backoff_outside_the_permit() -> None:
    run = Run(concurrency=1)
    first, second = run.endpoint(transient(), "ok"), run.endpoint("ok")

    counts = AttemptCounts()

    assert await asyncio.gather(run.ask(first, counts), run.ask(second)) == ["ok", "ok"]
    assert (counts.attempts, counts.waits.request) == (2, 2.0)
    assert counts.waits.backoff > 0
    assert second.calls[0][1] == 1.0
    assert [attempt for attempt, _ in first.calls] == [1, 2]


@pytest.mark.asyncio
@pytest.mark.parametrize("failure", [FailureClass.AUTH, FailureClass.TOO_LONG, FailureClass.UNKNOWN])
async def test_what_cannot_change_raises_the_exception_itself_at_once(failure: FailureClass) -> None:
    run, error, counts = Run(), Refusal(failure), AttemptCounts()
    endpoint = run.endpoint(error)

    with pytest.raises(Refusal) as caught:
        await run.ask(endpoint, counts)

    assert caught.value is error
    assert len(endpoint.calls) == counts.attempts == 1
    assert counts.waits.request == 1.0


@pytest.mark.asyncio
async def test_attempts_used_up_raise_the_last_exception_and_count_for_the_circuit() -> None:
    run, counts = Run(threshold=2), AttemptCounts()
    errors = [transient() for _ in range(6)]

    with pytest.raises(Refusal) as caught:
        await run.ask(run.endpoint(*errors), counts)
    assert caught.value is errors[-1]
    assert counts.attempts == 6
    assert not run.circuit.is_open

    with pytest.raises(OutageError, match="2 batches failed in a row, the last one with: transient"):
        await run.ask(run.endpoint(transient()))

    unasked = run.endpoint("ok")
    with pytest.raises(OutageError):
        await run.ask(unasked)
    assert unasked.calls == []


@pytest.mark.asyncio
async def test_who_would_wait_too_long_at_a_gate_that_others_have_shut_is_told_at_once() -> None:
    run = Run(RetryPolicy(max_wait=100.0))
    asking = asyncio.create_task(run.ask(run.endpoint(throttle(1.0), "ok")))
    await run.clock.sleep(0.5)
    run.limiter.throttle(200.0)

    with pytest.raises(ThrottledError, match="the gate stays shut"):
        await asking
    assert run.clock.monotonic() < 100.0


@pytest.mark.asyncio
async def test_throttles_wait_at_the_gate_for_all_and_use_no_attempts() -> None:
    run = Run()
    first, second = run.endpoint(*[throttle(2.0)] * 8, "ok"), run.endpoint("ok")

    counts, others = AttemptCounts(), AttemptCounts()
    assert await run.ask(first, counts) == "ok"
    assert counts.attempts == 9
    assert counts.waits.gate >= 16.0
    assert counts.waits.backoff == 0
    assert all(later - earlier >= 3.0 for (_, earlier), (_, later) in zip(first.calls, first.calls[1:], strict=False))

    run.limiter.throttle(30.0)
    await run.ask(second, others)
    assert others.waits.gate >= 30.0


@pytest.mark.asyncio
async def test_a_server_that_asks_for_a_day_stops_the_call_at_once_and_holds_up_nobody_else() -> None:
    run = Run()
    endpoint = run.endpoint(throttle(86400.0))

    with pytest.raises(ThrottledError, match="asks to wait 24h 00m") as caught:
        await run.ask(endpoint)

    assert isinstance(caught.value.__cause__, Refusal)
    assert len(endpoint.calls) == 1
    assert run.limiter.gate < 5


@pytest.mark.asyncio
async def test_throttles_without_end_stop_at_max_wait() -> None:
    run = Run(RetryPolicy(max_wait=100.0))

    with pytest.raises(ThrottledError):
        await run.ask(run.endpoint(throttle(3.0)))

    assert run.clock.monotonic() < 150


@pytest.mark.asyncio
async def test_the_estimate_is_settled_with_what_was_used() -> None:
    run, counts = Run(tokens_per_minute=6000.0), AttemptCounts()
    await run.ask(run.endpoint("ok"), tokens=6000, used=100)

    await run.ask(run.endpoint("ok"), counts, tokens=1000)

    assert counts.waits.rate < 1


@pytest.mark.asyncio
async def test_a_timeout_is_an_attempt_and_shrinks_the_concurrency() -> None:
    run = Run(concurrency=8)
    assert run.limiter.concurrency == 2

    counts = AttemptCounts()
    with pytest.raises(Refusal):
        await run.ask(run.endpoint(TimeoutError(), Refusal(FailureClass.AUTH)), counts)

    assert counts.attempts == 2
    assert run.limiter.concurrency == 1


@pytest.mark.asyncio
async def test_a_run_without_retries_left_probes_once_a_second() -> None:
    run = Run(capacity=0.0, concurrency=100)
    endpoints = [run.endpoint(transient(), "ok") for _ in range(10)]
    for _ in range(200):
        async with run.limiter.permit() as permit:
            permit.succeeded()

    await asyncio.gather(*map(run.ask, endpoints))

    retries = sorted(endpoint.calls[1][1] for endpoint in endpoints)
    assert retries[-1] - retries[0] >= 8


@pytest.mark.asyncio
async def test_cancelling_gives_the_slot_back_at_every_stage() -> None:
    for seconds in (0.5, 1.5, 3.0, 5.0):
        run = Run(concurrency=1)
        task = asyncio.create_task(run.ask(run.endpoint(transient(), throttle(3.0), "ok")))
        await run.clock.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert run.limiter.in_flight == 0
        assert run.limiter.expected_wait({})[1] < math.inf


@pytest.mark.asyncio
async def test_a_success_after_retries_counts_for_circuit_and_budget() -> None:
    run = Run(threshold=2)
    run.circuit.failed()

    await run.ask(run.endpoint(transient(), "ok"))

    assert run.circuit.successes == 1
    assert run.budget.left == 500
    run.circuit.failed()
    assert not run.circuit.is_open
