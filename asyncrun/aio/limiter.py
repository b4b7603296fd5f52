"""The limiter: one object per (endpoint, key, model) that says when a request may go, first come, first served."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from asyncrun.aio.limits import DEFAULT_CONCURRENCY, Limits, Rates, Sent, StatedLimit
from asyncrun.aio.permit import Permit, Reservation
from asyncrun.aio.throttling import AdaptiveConcurrency, Gate
from asyncrun.clock import Clock
from asyncrun.humanize import duration
from asyncrun.short_help import ShortHelp
from asyncrun.usage import Waits

Obstacle = tuple[str, float]
"""What holds a request back (queue, rate or gate), and for how many seconds; infinite when it waits for an event."""


class WaitingLine:
    """Lets one in after the other: the head waits until nothing holds it back, the others wait for the head.

    `reason` is what the head waits for (queue, rate, gate), None when it does not. The seconds are added up by reason, so that what one
    waiter has waited is the difference of two sums.
    """

    def __init__(self, clock: Clock) -> None:
        self.reason: str | None = None
        self._clock = clock
        self._line: deque[asyncio.Future[None]] = deque()
        self._changed: asyncio.Future[None] | None = None
        self._sums = {"queue": 0.0, "rate": 0.0, "gate": 0.0}
        self._since = 0.0
        self._until = math.inf

    def __len__(self) -> int:
        return len(self._line)

    @property
    def left(self) -> float:
        """How many seconds the head has still to wait; infinite when it waits for an event."""
        return max(0.0, self._until - self._clock.monotonic())

    async def wait(self, obstacle: Callable[[], Obstacle | None], enter: Callable[[], None]) -> Waits:
        """Stand in line until `obstacle` returns None, call `enter` before the next one's turn, and return what was waited."""
        before, asked = self._seconds(), self._clock.monotonic()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            if self._line[0] is not turn:
                await turn
            while held := obstacle():
                await self._pause(*held)
            enter()
            now = self._seconds()
            spent = {reason: now[reason] - seconds for reason, seconds in before.items()}
            # The rest was standing in line behind requests that were let in one by one.
            spent["queue"] += max(self._clock.monotonic() - asked - sum(spent.values()), 0.0)
            return Waits(**spent)
        finally:
            self._line.remove(turn)
            if self._line and not self._line[0].done():
                self._line[0].set_result(None)

    def wake(self) -> None:
        """Let the head look again: something has changed."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _pause(self, reason: str, seconds: float) -> None:
        """Wait until the time is over or something has changed."""
        self._changed = asyncio.get_running_loop().create_future()
        ends: list[asyncio.Future[None]] = [self._changed]
        if seconds < math.inf:
            ends.append(asyncio.ensure_future(self._clock.sleep(seconds)))
        self.reason = reason
        self._since = self._clock.monotonic()
        self._until = self._since + seconds
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in done:
                end.result()
        finally:
            self._sums = self._seconds()
            self.reason = None
            for end in ends:
                end.cancel()

    def _seconds(self) -> dict[str, float]:
        """Return the seconds so far, by reason."""
        sums = dict(self._sums)
        if self.reason is not None:
            sums[self.reason] += self._clock.monotonic() - self._since
        return sums


class Limiter(metaclass=ShortHelp):
    """Holds requests back until the endpoint's limits allow them; all jobs of a run share it.

    A request waits in line; at the head of the line it waits for the gate (shut after a 429), for a free slot (concurrency) and for the
    rates. Nobody overtakes, so a big request is not starved by small ones. One that is bigger than a limit itself goes alone, once the
    last minute is empty: the server's answer to it is worth more than a wait without end.

    `adaptive=False` keeps the concurrency where it is, for what runs in this process. One event loop at a time.

    >>> import asyncio
    >>> from asyncrun.clock import SystemClock
    >>> limiter = Limiter(Limits(requests_per_minute=600), SystemClock(), random.Random())
    >>> async def send():
    ...     async with limiter.permit(tokens=100) as permit:
    ...         permit.succeeded()
    >>> asyncio.run(send())
    """

    def __init__(self, limits: Limits, clock: Clock, rng: random.Random, *, adaptive: bool = True) -> None:
        self.limits = limits
        self.clock = clock
        self._rates = Rates(limits.per_minute(), clock.monotonic())
        self._concurrency = AdaptiveConcurrency(limits.concurrency or DEFAULT_CONCURRENCY, adaptive=adaptive)
        self._gate = Gate(rng)
        self.in_flight = 0
        """How many requests are in flight."""
        self._line = WaitingLine(clock)
        self.learned: dict[str, float] = {}
        """The rates per minute that the server stated and nobody else did, by unit."""

    def permit(self, *, tokens: float = 0, inputs: float = 0) -> Permit:
        """Return the permit for one request, to be entered with `async with`; `tokens` may be an estimate, see `Permit.settle`."""
        return Permit(self, {"requests": 1, "tokens": tokens, "inputs": inputs})

    async def reserve(self, *, tokens: float = 0, inputs: float = 0) -> Reservation:
        """Wait as for a permit and return it as a reservation, which is to be held or cancelled."""
        need = {"requests": 1, "tokens": tokens, "inputs": inputs}
        waits = await self.admit(need)
        return Reservation(self, waits, *self.take(need))

    def expected_wait(self, need: Mapping[str, float]) -> Obstacle:
        """Return what a request that comes now waits for, and for how many seconds at least; infinite when nobody can say."""
        if self._line:
            return self._line.reason or "queue", math.inf
        return self._obstacle(need) or ("", 0.0)

    def throttle(self, hint: float | None = None, *, sent: float | None = None) -> None:
        """Shut the gate for all requests, and cut the concurrency: the endpoint said "too fast".

        The gate opens after `hint` seconds (Retry-After) or a backoff that doubles with each throttle in a row. Then one request goes as a
        probe; when it has succeeded the others follow, at the rate, without a burst. `sent` is the monotonic time at which the refused
        request went.
        """
        now = self.clock.monotonic()
        first = self._concurrency.throttled(sent=now if sent is None else sent, now=now)
        self._gate.shut(now, hint, first=first)
        self._rates.hold(self._gate.opens_at)
        self._line.wake()

    def learn(self, stated: Mapping[str, StatedLimit]) -> None:
        """Add rates that the server states (in headers) by unit, our share of them; those of the job file, and what is known, stay."""
        for unit, limit in stated.items():
            ours = replace(limit, per_minute=limit.per_minute * self.limits.share)
            if self._rates.learn(unit, ours, self.clock.monotonic()):
                self.learned[unit] = limit.per_minute
        self._line.wake()

    @property
    def known(self) -> Limits:
        """What the endpoint allows, as stated here or else by the server."""
        stated, learned = self.limits, self.learned
        return replace(
            stated,
            requests_per_minute=learned.get("requests", stated.requests_per_minute),
            tokens_per_minute=learned.get("tokens", stated.tokens_per_minute),
            inputs_per_minute=learned.get("inputs", stated.inputs_per_minute),
        )

    @property
    def concurrency(self) -> int:
        """How many requests may be in flight at the moment."""
        return 1 if self._gate.recovering else self._concurrency.limit

    @property
    def gate(self) -> float:
        """Seconds until the gate opens, 0 when it is open."""
        return self._gate.wait(self.clock.monotonic())

    @property
    def waiting(self) -> str | None:
        """What the next request waits for, for the progress display; None when nothing waits, or only for a free slot."""
        if self._line and self.gate > 0:
            return f"throttled {duration(math.ceil(self.gate))}"
        if self._line.reason == "rate":
            return f"rate limit {duration(math.ceil(self._line.left))}"
        return None

    async def admit(self, need: Mapping[str, float]) -> Waits:
        """Wait in line until a request may go, and count it as in flight."""
        return await self._line.wait(lambda: self._obstacle(need), self._enter)

    async def admit_again(self, need: Mapping[str, float]) -> Waits:
        """Wait for gate and rates only: the request goes in the place of one that is in flight."""
        waits = Waits()
        while True:
            if (wait := self.gate) > 0:
                waits += Waits(gate=wait)
            elif (wait := self._rates.wait(self.clock.monotonic(), need)) > 0:
                waits += Waits(rate=wait)
            else:
                return waits
            await self.clock.sleep(wait)

    def take(self, need: Mapping[str, float]) -> tuple[float, Mapping[str, Sent]]:
        """Count the units of a request that goes now; return the time, and what `correct` needs."""
        now = self.clock.monotonic()
        return now, self._rates.take(now, need)

    def correct(self, sent: Mapping[str, Sent], units: Mapping[str, float]) -> None:
        """Replace the estimates of a request by the units that it has really used."""
        for unit, used in units.items():
            self._rates.correct(sent, unit, used)
        self._line.wake()

    def release(self) -> None:
        """Count a request as in flight no more."""
        self.in_flight -= 1
        self._line.wake()

    def succeeded(self, sent: float) -> None:
        """Tell that a request succeeded: the concurrency may grow, and a throttle is over."""
        self._concurrency.succeeded()
        self._gate.succeeded(sent)
        self._line.wake()

    def timed_out(self, sent: float) -> None:
        """Tell that a request took too long: the concurrency shrinks a little."""
        self._concurrency.timed_out(sent=sent, now=self.clock.monotonic())

    def _enter(self) -> None:
        self.in_flight += 1

    def _obstacle(self, need: Mapping[str, float]) -> Obstacle | None:
        """Return what holds a request back at the moment, and for how many seconds; None when it may go."""
        if (wait := self.gate) > 0:
            return "gate", wait
        if self.in_flight >= self.concurrency:
            return "queue", math.inf
        if (wait := self._rates.wait(self.clock.monotonic(), need)) > 0:
            return "rate", wait
        return None
