"""The loop around one request: permit, attempt, decision, backoff, until a value or an end."""

from __future__ import annotations

import math
import random
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

from asyncrun.aio.limiter import Limiter
from asyncrun.aio.permit import Permit
from asyncrun.aio.retry import Backoff, CircuitBreaker, FailureClass, GiveUp, RetryBudget, RetryPolicy, backoff_ceiling, decide
from asyncrun.aio.worker_state import AttemptTimer, count_attempt, discount_attempt, wait_event, waiting
from asyncrun.callbacks.event_context import EventContext, current_manager
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.clock import Clock, moment, seconds_suspended
from asyncrun.errors import OutageError, ThrottledError
from asyncrun.humanize import duration
from asyncrun.usage import Usage, Waits

MOST_FORGIVEN = 20
"""Attempts of one call that may be lost to a suspended machine: a wall clock that runs too fast must not keep it going for ever."""
T = TypeVar("T")
Classify = Callable[[Exception], tuple[FailureClass, float | None]]
"""Says what an exception means, and how many seconds the server asked to wait (None: it did not say)."""

Used = float | tuple[float, float] | None
"""Tokens that were used: all of them, or all and those of them that came out; None where nobody tells."""


@dataclass(slots=True)
class AttemptCounts:
    """What a call has cost so far; complete when it ends, also when it ends with an exception.

    attempts = failures + throttles, and 1 more after a success. An attempt that was lost because the machine was suspended is none;
    `forgiven` counts those. `worker` of an executor has made the last one, None where there is no executor.
    """

    attempts: int = 0
    failures: int = 0
    throttles: int = 0
    waits: Waits = field(default_factory=Waits)
    forgiven: int = 0
    worker: str | None = None

    @property
    def usage(self) -> Usage:
        """Return what the call has used, apart from tokens."""
        return Usage(self.attempts, max(self.attempts - 1, 0))


@dataclass(frozen=True, slots=True, eq=False)
class _Failed:
    """An attempt that failed, with its meaning; `suspended` says that the machine was, while it was under way."""

    error: Exception
    failure: FailureClass
    hint: float | None
    suspended: bool


async def with_retries(
    call: Callable[[int], Awaitable[T]],
    *,
    policy: RetryPolicy,
    budget: RetryBudget,
    circuit: CircuitBreaker,
    limiter: Limiter,
    clock: Clock,
    rng: random.Random,
    tokens: float,
    inputs: float,
    classify: Classify,
    used: Callable[[T], Used] | None = None,
    counts: AttemptCounts | None = None,
    output_tokens: float = 0,
) -> T:
    """Call until it succeeds or the decision is to stop; each attempt takes a permit, backoff is spent outside of it.

    Attempts and waits are events (ATTEMPT, WAIT) of the enclosing event's manager. What failed by transport while the machine was
    suspended is called again, and counts nowhere.

    Args:
        call: makes one attempt, counted from 1; its own total timeout is its own business (TimeoutError). What it does within
            `asyncrun.aio.worker_state.time_spent_on` counts as that and not as the request.
        policy: how patient this batch is.
        budget: the retries of the run.
        circuit: the endpoint's row of failures; told of successes and of batches whose attempts are used up.
        limiter: the endpoint's limiter.
        clock: measures and sleeps.
        rng: the source of jitter.
        tokens: what one attempt is expected to use.
        inputs: how many texts it carries.
        classify: says what an exception means.
        used: says how many tokens the value really used, and which of them came out; None if it does not tell.
        counts: filled in on the way: attempts and waits, also of a call that fails.
        output_tokens: those of `tokens` that come out.

    Raises:
        OutageError: the circuit is open.
        ThrottledError: the server asks for a longer wait than allowed, or throttled for too long in all.
        Exception: otherwise what the last attempt raised, itself.
    """
    counts = AttemptCounts() if counts is None else counts
    while True:
        if circuit.is_open:
            raise OutageError(f"the endpoint is given up: {circuit.threshold} batches failed in a row")
        async with limiter.permit(tokens=tokens, inputs=inputs, output_tokens=output_tokens) as permit:
            counts.waits += permit.waits
            ended = await _attempt(call, clock, counts, classify)
            if not isinstance(ended, _Failed):
                _succeed(permit, used(ended) if used else None)
                circuit.succeeded()
                budget.succeeded(retried=counts.failures > 0)
                return ended
            if ended.suspended:
                backoff = _forgive(counts, policy, rng)
            else:
                backoff = _judge(ended, counts=counts, permit=permit, limiter=limiter, circuit=circuit, policy=policy, rng=rng)
        if ended.failure is not FailureClass.THROTTLE:
            await _back_off(backoff if ended.suspended else max(backoff, budget.spend(clock.monotonic())), clock, counts)


def _succeed(permit: Permit, used: Used) -> None:
    if used is not None:
        tokens, output_tokens = used if isinstance(used, tuple) else (used, 0.0)
        permit.settle(tokens=tokens, output_tokens=output_tokens)
    permit.succeeded()


async def _attempt(call: Callable[[int], Awaitable[T]], clock: Clock, counts: AttemptCounts, classify: Classify) -> T | _Failed:
    counts.attempts += 1
    count_attempt()
    before = moment(clock)
    why: dict[str, Any] = {}
    with _attempt_event(counts.attempts) as event, AttemptTimer(clock) as timer:
        try:
            with waiting("request", idle=False):
                ended: T | _Failed = await call(counts.attempts)
        except Exception as error:
            failure, hint = classify(error)
            forgivable = failure is FailureClass.TRANSIENT and counts.forgiven < MOST_FORGIVEN
            suspended = forgivable and seconds_suspended(before, moment(clock)) > 0
            ended = _Failed(error, failure, hint, suspended)
            # A reply's status, where the error knows one.
            status = getattr(error, "status", None)
            answered = {"http.response.status_code": status} if isinstance(status, int) else {}
            why = {EventPayload.EXCEPTION: error, "error.type": failure.value, "status": "failed", "name": failure.value, **answered}
        except CancelledError as error:
            why = {EventPayload.EXCEPTION: error, "status": "cancelled"}
            raise
        finally:
            waits = timer.waits()
            counts.waits += waits
            counts.worker = timer.worker
            if event is not None:
                made = {} if timer.worker is None else {"worker": timer.worker}
                event.on_end(payload={**why, **made, **waits.payload()})
    return ended


def _attempt_event(number: int) -> AbstractContextManager[EventContext | None]:
    """Return the event of an attempt; it yields None when nobody listens."""
    manager = current_manager()
    if manager is None or not manager.handlers:
        return nullcontext()
    return manager.event(CBEventType.ATTEMPT, payload={"number": number})


async def _back_off(seconds: float, clock: Clock, counts: AttemptCounts) -> None:
    spent = Waits(backoff=seconds)
    until = clock.monotonic() + seconds

    def words() -> str:
        return f"another attempt {duration(max(math.ceil(until - clock.monotonic()), 0))}"

    with waiting("backoff", words=words), wait_event("backoff", seconds) as end_event:
        await clock.sleep(seconds)
        end_event(spent)
    counts.waits += spent


def _forgive(counts: AttemptCounts, policy: RetryPolicy, rng: random.Random) -> float:
    """Return the backoff after an attempt that was lost to a suspended machine, and count it nowhere: no server has failed."""
    counts.attempts -= 1
    counts.forgiven += 1
    discount_attempt()
    return rng.uniform(0.0, backoff_ceiling(1, policy))


def _judge(
    failed: _Failed,
    *,
    counts: AttemptCounts,
    permit: Permit,
    limiter: Limiter,
    circuit: CircuitBreaker,
    policy: RetryPolicy,
    rng: random.Random,
) -> float:
    """Return the backoff in seconds after a failed attempt, or raise what ends the call; tell limiter and circuit."""
    error, failure, hint = failed.error, failed.failure, failed.hint
    if failure is FailureClass.THROTTLE:
        counts.throttles += 1
        decision = decide(counts.throttles, failure, hint, counts.waits.gate, policy=policy, rng=rng)
        # A wait that nobody will sit out must not shut the gate: others on this endpoint would hang there instead of being told.
        permit.throttled(decision.seconds if isinstance(decision, Backoff) else None)
        if isinstance(decision, Backoff) and counts.waits.gate + limiter.gate > policy.max_wait:
            decision = GiveUp(f"the gate stays shut for {duration(round(limiter.gate))} more")
        if isinstance(decision, GiveUp):
            raise ThrottledError(f"throttled, {decision.reason}: {error}") from error
        return decision.seconds
    counts.failures += 1
    if _timed_out(error):
        permit.timed_out()
    decision = decide(counts.failures, failure, hint, counts.waits.gate, policy=policy, rng=rng)
    if isinstance(decision, Backoff):
        return decision.seconds
    if failure is FailureClass.TRANSIENT:
        circuit.failed()
        if circuit.is_open:
            raise OutageError(f"{circuit.threshold} batches failed in a row, the last one with: {error}") from error
    raise error


def _timed_out(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, TimeoutError):
        error = error.__cause__
    return error is not None
