"""The retry decision, how many retries a run may make, and the circuit breaker of an endpoint. Pure: no clock, no sleep."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

from asyncrun.humanize import duration
from asyncrun.short_help import ShortHelp, ShortHelpEnum

# stamina and tenacity decide and sleep in one call: the decision could neither be tested alone, nor count throttles apart from attempts,
# nor hand its wait to the gate that all jobs share. What they would carry is the loop, a dozen lines of attempts.py.


class FailureClass(StrEnum, metaclass=ShortHelpEnum):
    """What a failed attempt means for its batch; the adapter reads it from the answer's body first, then from its status.

    >>> decide(1, FailureClass.TRANSIENT, None, 0.0, policy=RetryPolicy(attempts=1), rng=random.Random(1))
    GiveUp(reason='1 attempt failed')
    """

    AUTH = "auth"
    """The key is refused."""
    CONFIG = "config"
    """Wrong model or address, a redirect, a refused certificate."""
    QUOTA = "quota"
    """Billing or a daily quota: waiting a minute does not help."""
    THROTTLE = "throttle"
    """Too fast: wait and send again."""
    TRANSIENT = "transient"
    """The server or the network failed: send again."""
    BAD_RESPONSE = "bad_response"
    """A 200 that cannot be right: wrong count, index, size, a null, no JSON."""
    TOO_BIG = "too_big"
    """The request carries too much: halve the batch."""
    TOO_SLOW = "too_slow"
    """No whole reply in time, to a batch that can be divided: halve it."""
    TOO_LONG = "too_long"
    """One text is too long."""
    ITEM = "item"
    """An answer about one text, the same each time."""
    UNKNOWN = "unknown"
    """A refusal that nobody can place: bisect."""
    BROKEN_OFF = "broken_off"
    """A streamed answer without its end, whose beginning was handed on: sent again, it would come twice."""


@dataclass(frozen=True, slots=True)
class RetryPolicy(metaclass=ShortHelp):
    """How patient a batch is.

    `attempts` >= 1 counts the first try and leaves throttled ones out; `max_wait` bounds the seconds that a batch waits for throttles
    in all; a Retry-After above `max_hint` seconds stops at once. Backoff before retry n is drawn below min(`max_backoff`, `base` * 2^n).
    With `stop_if_unreachable` a first request that reaches nobody is given up early, whatever `attempts` says.

    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> patient = OpenAIEmbedding("text-embedding-3-small", api_key="a-key", retry=RetryPolicy(attempts=10, max_wait=3600.0))
    """

    attempts: int = 6
    max_wait: float = 900.0
    max_hint: float = 120.0
    base: float = 0.5
    max_backoff: float = 60.0
    bad_response_retries: int = 2
    stop_if_unreachable: bool = False

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts must be 1 or more, not {self.attempts}")
        if min(self.max_wait, self.max_hint, self.base, self.max_backoff, self.bad_response_retries) < 0:
            raise ValueError("the waits of a retry policy must not be negative")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Send again after `seconds`."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not send again; `reason` completes "stopped: ..."."""

    reason: str


def decide(
    attempt: int, failure: FailureClass, hint: float | None, elapsed: float, *, policy: RetryPolicy, rng: random.Random
) -> Backoff | GiveUp:
    """Decide what follows on a failed attempt.

    Args:
        attempt: how many attempts failed, this one included, throttled ones left out; for a throttle the number of throttles. From 1.
        failure: what the failure means.
        hint: seconds that the server asked for, None without; what is negative or not finite counts as none.
        elapsed: seconds that the batch has waited for throttles so far.
        policy: how patient the batch is.
        rng: the source of jitter.

    >>> decide(1, FailureClass.AUTH, None, 0.0, policy=RetryPolicy(), rng=random.Random(1))
    GiveUp(reason='auth')
    >>> decide(6, FailureClass.TRANSIENT, None, 0.0, policy=RetryPolicy(), rng=random.Random(1))
    GiveUp(reason='6 attempts failed')
    """
    if failure not in (FailureClass.THROTTLE, FailureClass.TRANSIENT, FailureClass.BAD_RESPONSE):
        return GiveUp(failure.value)
    floor = hint if hint is not None and math.isfinite(hint) and hint > 0 else 0.0
    if floor > policy.max_hint:
        return GiveUp(f"the server asks to wait {duration(round(floor))}")
    ceiling = backoff_ceiling(attempt, policy)
    if failure is FailureClass.THROTTLE:
        # Equal jitter: full jitter can draw almost nothing, which is no answer to "too fast" (aws-sdk-net#4341).
        seconds = max(floor, ceiling / 2 + rng.uniform(0.0, ceiling / 2))
        if elapsed + seconds > policy.max_wait:
            return GiveUp(f"waited {duration(round(elapsed))} for the rate limit of the server")
        return Backoff(seconds, failure.value)
    allowed = policy.attempts
    if failure is FailureClass.BAD_RESPONSE:
        allowed = min(allowed, 1 + policy.bad_response_retries)
    if attempt >= allowed:
        return GiveUp(f"{attempt} attempts failed" if attempt > 1 else "1 attempt failed")
    return Backoff(max(floor, rng.uniform(0.0, ceiling)), failure.value)


def backoff_ceiling(retry: int, policy: RetryPolicy) -> float:
    """Return the longest backoff before a retry, in seconds.

    >>> [backoff_ceiling(retry, RetryPolicy()) for retry in (1, 2, 3, 20)]
    [1.0, 2.0, 4.0, 60.0]
    """
    return min(policy.max_backoff, policy.base * 2.0 ** min(retry, 64))


RETRY_COST = 14.0
"""What a retry takes out of the budget; a success after retries gives it back, a clean success earns 1."""
PROBE_INTERVAL = 1.0
"""Seconds between two retries of the whole run when the budget is used up."""


class RetryBudget:
    """How many retries a run may spend, so that an outage is not answered by a storm (the retry quota of AWS SDKs).

    When nothing is left, retries go on as probes, one every PROBE_INTERVAL.

    >>> budget = RetryBudget(capacity=14)
    >>> budget.spend(now=0.0), budget.spend(now=0.0), budget.spend(now=0.0)
    (0.0, 0.0, 1.0)
    """

    def __init__(self, capacity: float = 500.0) -> None:
        self._capacity = capacity
        self.left = capacity
        self._next_probe = -math.inf

    def spend(self, now: float) -> float:
        """Pay for one retry; return the seconds it has to wait at least, because the budget is used up."""
        if self.left >= RETRY_COST:
            self.left -= RETRY_COST
            return 0.0
        at = max(now, self._next_probe)
        self._next_probe = at + PROBE_INTERVAL
        return at - now

    def succeeded(self, *, retried: bool) -> None:
        """Earn: what the last retry cost, or 1 for a success at the first attempt."""
        self.left = min(self._capacity, self.left + (RETRY_COST if retried else 1.0))


class CircuitBreaker:
    """Counts batches that failed in a row, over all jobs that use an endpoint; at `threshold` it opens and stays open.

    >>> circuit = CircuitBreaker(threshold=2)
    >>> circuit.failed(); circuit.succeeded(); circuit.failed(); circuit.is_open
    False
    >>> circuit.failed(); circuit.is_open
    True
    """

    def __init__(self, threshold: int = 20) -> None:
        if threshold < 1:
            raise ValueError(f"threshold must be 1 or more, not {threshold}")
        self.threshold = threshold
        self._failures = 0
        self.is_open = False
        """Whether nothing more should be sent."""
        self.successes = 0
        """How many batches succeeded so far: two readings tell whether anything succeeded in between."""

    def succeeded(self) -> None:
        """Tell that a batch succeeded: the row of failures ends."""
        self.successes += 1
        self._failures = 0

    def failed(self) -> None:
        """Tell that a batch used up its attempts."""
        self._failures += 1
        self.is_open = self.is_open or self._failures >= self.threshold
