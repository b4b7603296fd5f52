"""The limiter: one object per (endpoint, key, model) that says when a request may go, first come, first served."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping
from dataclasses import replace

from asyncrun.aio.limits import DEFAULT_CONCURRENCY, Limits, Rates, Sent, StatedLimit, need_of
from asyncrun.aio.permit import Admission, Permit, Reservation
from asyncrun.aio.throttling import AdaptiveConcurrency, Gate
from asyncrun.aio.waiting_line import Obstacle, WaitingLine
from asyncrun.clock import Clock
from asyncrun.humanize import duration
from asyncrun.short_help import ShortHelp
from asyncrun.usage import Waits


class Limiter(metaclass=ShortHelp):
    """Holds requests back until the endpoint's limits allow them; all jobs of a run share it.

    A request waits in line; at the head of the line it waits for the gate (shut after a 429), for a free slot (concurrency) and for the
    rates. Nobody overtakes, so a big request is not starved by small ones. One that is bigger than a limit itself goes alone, once the
    last minute is empty: the server's answer to it is worth more than a wait without end.

    `adaptive=False` keeps the concurrency where it is, for what runs in this process. The event loops of several threads share a limiter;
    one that stands still (stopped, or blocked by a call that is not asynchronous) holds up no other, see WaitingLine.

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
        self._line = WaitingLine(clock)
        self.learned: dict[str, float] = {}
        """The rates per minute that the server stated and nobody else did, by unit."""

    def permit(self, *, tokens: float = 0, inputs: float = 0, output_tokens: float = 0) -> Permit:
        """Return the permit for one request, to be entered with `async with`; tokens may be an estimate, see `Permit.settle`.

        `output_tokens` are those of `tokens` that come out.
        """
        return Permit(self, need_of(tokens, inputs, output_tokens), self._admit_now)

    async def reserve(self, *, tokens: float = 0, inputs: float = 0, output_tokens: float = 0) -> Reservation:
        """Wait as for a permit and return it as a reservation, which is to be held or cancelled."""
        return Reservation(self, await self.admit(need_of(tokens, inputs, output_tokens)))

    def expected_wait(self, need: Mapping[str, float]) -> Obstacle:
        """Return what a request that comes now waits for, and for how many seconds at least; infinite when nobody can say."""
        with self._line.lock:
            if self._line:
                return self._line.reason or "queue", math.inf
            return self._obstacle(need) or ("", 0.0)

    def throttle(self, hint: float | None = None, *, sent: float | None = None) -> None:
        """Shut the gate for all requests, and cut the concurrency: the endpoint said "too fast".

        The gate opens after `hint` seconds (Retry-After) or a backoff that doubles with each throttle in a row. Then one request goes as a
        probe; when it has succeeded the others follow, at the rate, without a burst. `sent` is the monotonic time at which the refused
        request went.
        """
        with self._line.lock:
            now = self.clock.monotonic()
            first = self._concurrency.throttled(sent=now if sent is None else sent, now=now)
            self._gate.shut(now, hint, first=first)
            self._rates.hold(self._gate.opens_at)
            self._line.wake()

    def learn(self, stated: Mapping[str, StatedLimit]) -> None:
        """Add rates that the server states (in headers) by unit, our share of them; those of the job file, and what is known, stay."""
        if not stated:
            return
        with self._line.lock:
            for unit, limit in stated.items():
                ours = replace(limit, per_minute=limit.per_minute * self.limits.share)
                if self._rates.learn(unit, ours, self.clock.monotonic()):
                    self.learned[unit] = limit.per_minute
            self._line.wake()

    @property
    def known(self) -> Limits:
        """What the endpoint allows, as stated here or else by the server."""
        return self.limits.with_rates(self.learned)

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._line.taken

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

    async def admit(self, need: Mapping[str, float]) -> Admission:
        """Wait in line until a request may go, and count it as in flight and its units as sent."""
        waits, (sent, taken) = await self._line.wait(lambda: self._obstacle(need), lambda: self._take(need))
        return Admission(waits, sent, taken, asyncio.get_running_loop())

    async def admit_again(self, need: Mapping[str, float]) -> Admission:
        """Wait for gate and rates only: the request goes in the place of one that is in flight."""
        waits = Waits()
        while True:
            with self._line.lock:
                if (wait := self.gate) > 0:
                    waits += Waits(gate=wait)
                elif (wait := self._rates.wait(self.clock.monotonic(), need)) > 0:
                    waits += Waits(rate=wait)
                else:
                    return Admission(waits, *self._take(need), asyncio.get_running_loop())
            await self.clock.sleep(wait)

    def correct(self, sent: Mapping[str, Sent], units: Mapping[str, float]) -> None:
        """Replace the estimates of a request by the units that it has really used."""
        with self._line.lock:
            for unit, used in units.items():
                self._rates.correct(sent, unit, used)
            self._line.wake()

    def release(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count a request of that event loop as in flight no more."""
        self._line.leave(loop)

    def succeeded(self, sent: float) -> None:
        """Tell that a request succeeded: the concurrency may grow, and a throttle is over."""
        with self._line.lock:
            self._concurrency.succeeded()
            self._gate.succeeded(sent)
            self._line.wake()

    def timed_out(self, sent: float) -> None:
        """Tell that a request took too long: the concurrency shrinks a little."""
        with self._line.lock:
            self._concurrency.timed_out(sent=sent, now=self.clock.monotonic())

    def _admit_now(self, need: Mapping[str, float]) -> Admission | None:
        """Admit as `admit` does a request that need not wait; None for any other."""
        loop = asyncio.get_running_loop()
        passed = self._line.pass_by(loop, lambda: self._obstacle(need), lambda: self._take(need))
        return None if passed is None else Admission(passed[0], *passed[1], loop)

    def _take(self, need: Mapping[str, float]) -> tuple[float, Mapping[str, Sent]]:
        now = self.clock.monotonic()
        return now, self._rates.take(now, need)

    def _obstacle(self, need: Mapping[str, float]) -> Obstacle | None:
        """Return what holds a request back at the moment, and for how many seconds; None when it may go."""
        if (wait := self.gate) > 0:
            return "gate", wait
        if self._line.taken >= self.concurrency:
            return "queue", math.inf
        if (wait := self._rates.wait(self.clock.monotonic(), need)) > 0:
            return "rate", wait
        return None
