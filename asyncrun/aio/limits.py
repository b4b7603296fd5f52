"""The limiter: one object per (endpoint, key, model) that says when a request may go, first come, first served."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from asyncrun.aio.attempt_events import tell_wait
from asyncrun.aio.concurrency import Concurrency
from asyncrun.aio.gate import Gate
from asyncrun.aio.rate_window import Rates, Sent, Told
from asyncrun.aio.stopwatch import Stopwatch
from asyncrun.aio.worker_state import waiting
from asyncrun.clock import Clock
from asyncrun.duration import duration
from asyncrun.records import Waits

DEFAULT_CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """What an endpoint allows; None: not known.

    The three rates are per minute, each above 0; `concurrency` >= 1 is the number of requests in flight over all jobs (8 when None);
    `share` in (0, 1] is the part of the rates that is ours, when another process uses the same key.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    inputs_per_minute: float | None = None
    concurrency: int | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        for unit, limit in self.per_minute().items():
            if limit is not None and not 0 < limit < math.inf:
                raise ValueError(f"{unit}_per_minute must be above 0, not {limit}")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more, not {self.concurrency}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {self.share}")

    def per_minute(self) -> dict[str, float | None]:
        """Return our share of the rates by unit.

        >>> Limits(requests_per_minute=600, share=0.5).per_minute()
        {'requests': 300.0, 'tokens': None, 'inputs': None}
        """
        stated = {"requests": self.requests_per_minute, "tokens": self.tokens_per_minute, "inputs": self.inputs_per_minute}
        return {unit: None if limit is None else limit * self.share for unit, limit in stated.items()}

    @classmethod
    def together(cls, limits: Sequence[Limits]) -> Limits:
        """Return what several places allow together; a rate that one of them does not state is not known.

        >>> Limits.together([Limits(60, 10), Limits(30)])
        Limits(requests_per_minute=90.0, tokens_per_minute=None, inputs_per_minute=None, concurrency=None, share=1.0)
        """
        stated = [each.per_minute() for each in limits]
        sums = {unit: _sum([each[unit] for each in stated]) for unit in ("requests", "tokens", "inputs")}
        return cls(sums["requests"], sums["tokens"], sums["inputs"])


def _sum(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if len(known) == len(rates) else None


class Limiter:
    """Holds requests back until the endpoint's limits allow them; all jobs of a run share it.

    A request waits in line; at the head of the line it waits for the gate (shut after a 429), for a free slot (concurrency) and for the
    rates. Nobody overtakes, so a big request is not starved by small ones. One that is bigger than a limit itself goes alone, once the
    last minute is empty: the server's answer to it is worth more than a wait without end.

    `adaptive=False` keeps the concurrency where it is, for what runs in this process. One event loop at a time.

    >>> from asyncrun.clock import SystemClock
    >>> limiter = Limiter(Limits(requests_per_minute=600), SystemClock(), random.Random())
    >>> async def send():
    ...     async with limiter.permit(tokens=100) as permit:
    ...         permit.succeeded()
    >>> asyncio.run(send())
    """

    def __init__(self, limits: Limits, clock: Clock, rng: random.Random, *, adaptive: bool = True) -> None:
        self.limits = limits
        self._clock = clock
        self._rates = Rates(limits.per_minute(), clock.monotonic())
        self._slots = Concurrency(limits.concurrency or DEFAULT_CONCURRENCY, adaptive=adaptive)
        self._gate = Gate(rng)
        self._in_flight = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._changed: asyncio.Future[None] | None = None
        self._blocked = Stopwatch(clock)
        self._learned: dict[str, float] = {}

    def permit(self, *, tokens: float = 0, inputs: float = 0) -> Permit:
        """Return the permit for one request, to be entered with `async with`; `tokens` may be an estimate, see `Permit.settle`."""
        return Permit(self, {"requests": 1, "tokens": tokens, "inputs": inputs})

    async def book(self, *, tokens: float = 0, inputs: float = 0) -> Booking:
        """Wait as for a permit and return it as a booking, which is to be held or cancelled."""
        need = {"requests": 1, "tokens": tokens, "inputs": inputs}
        waits = await self._admit(need)
        sent = self._clock.monotonic()
        return Booking(self, waits, sent, self._rates.take(sent, need))

    def foresee(self, *, tokens: float = 0, inputs: float = 0) -> tuple[str, float]:
        """Return what a request that comes now waits for, and for how many seconds at least; infinite when nobody can say."""
        return self._foreseen({"requests": 1, "tokens": tokens, "inputs": inputs})

    def throttle(self, hint: float | None = None, *, sent: float | None = None) -> None:
        """Shut the gate for all requests, and cut the concurrency: the endpoint said "too fast".

        The gate opens after `hint` seconds (Retry-After) or a backoff that doubles with each throttle in a row. Then one request goes as a
        probe; when it has succeeded the others follow, at the rate, without a burst. `sent` is the monotonic time at which the refused
        request went.
        """
        now = self._clock.monotonic()
        news = self._slots.throttled(sent=now if sent is None else sent, now=now)
        self._gate.shut(now, hint, news=news)
        self._rates.hold(self._gate.opens_at)
        self._wake()

    def learn(self, told: Mapping[str, Told]) -> None:
        """Add rates that the server states (in headers) by unit, our share of them; those of the job file, and what is known, stay."""
        for unit, limit in told.items():
            ours = replace(limit, per_minute=limit.per_minute * self.limits.share)
            if self._rates.learn(unit, ours, self._clock.monotonic()):
                self._learned[unit] = limit.per_minute
        self._wake()

    @property
    def learned(self) -> Mapping[str, float]:
        """The rates per minute that the server stated and nobody else did, by unit."""
        return self._learned

    @property
    def known(self) -> Limits:
        """What the endpoint allows, as stated here or else by the server."""
        stated, told = self.limits, self._learned.get
        return replace(
            stated,
            requests_per_minute=told("requests", stated.requests_per_minute),
            tokens_per_minute=told("tokens", stated.tokens_per_minute),
            inputs_per_minute=told("inputs", stated.inputs_per_minute),
        )

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._in_flight

    @property
    def queued(self) -> int:
        """How many requests wait for their permit."""
        return len(self._line)

    @property
    def concurrency(self) -> int:
        """How many requests may be in flight at the moment."""
        return 1 if self._gate.recovering else self._slots.limit

    @property
    def gate(self) -> float:
        """Seconds until the gate opens, 0 when it is open."""
        return self._gate.wait(self._clock.monotonic())

    @property
    def waiting(self) -> str | None:
        """What the next request waits for, for the progress display; None when nothing waits, or only for a free slot."""
        if self._line and self.gate > 0:
            return f"throttled {duration(math.ceil(self.gate))}"
        if self._blocked.reason == "rate":
            return f"rate limit {duration(math.ceil(self._blocked.left))}"
        return None

    async def _admit(self, need: Mapping[str, float]) -> Waits:
        """Wait until a request may go, and take its slot."""
        before, asked = self._blocked.read(), self._clock.monotonic()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            if self._line[0] is not turn:
                await turn
            while obstacle := self._obstacle(need):
                await self._pause(*obstacle)
            self._in_flight += 1
            waits = self._blocked.since(before)
            # The rest was standing in line behind requests that were let in one by one.
            rest = self._clock.monotonic() - asked - waits.queue - waits.rate - waits.gate
            return waits + Waits(queue=max(rest, 0.0))
        finally:
            self._line.remove(turn)
            if self._line and not self._line[0].done():
                self._line[0].set_result(None)

    def _obstacle(self, need: Mapping[str, float]) -> tuple[str, float] | None:
        """Return what holds a request back at the moment, and for how many seconds; None when it may go."""
        if (wait := self.gate) > 0:
            return "gate", wait
        if self._in_flight >= self.concurrency:
            return "queue", math.inf
        if (wait := self._rates.wait(self._clock.monotonic(), need)) > 0:
            return "rate", wait
        return None

    def _foreseen(self, need: Mapping[str, float]) -> tuple[str, float]:
        """Return what a request will wait for that comes now, and for how many seconds at least; infinite when nobody can say."""
        if self._line:
            return self._blocked.reason or "queue", math.inf
        return self._obstacle(need) or ("", 0.0)

    async def _pause(self, reason: str, seconds: float) -> None:
        """Wait until the time is over or something has changed."""
        self._changed = asyncio.get_running_loop().create_future()
        ends: list[asyncio.Future[None]] = [self._changed]
        if seconds < math.inf:
            ends.append(asyncio.ensure_future(self._clock.sleep(seconds)))
        self._blocked.start(reason, seconds)
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in done:
                end.result()
        finally:
            self._blocked.stop()
            for end in ends:
                end.cancel()

    async def _borrow(self, need: Mapping[str, float]) -> Waits:
        """Wait for gate and rates only: the slot is that of the permit around."""
        waits = Waits()
        while True:
            if (wait := self.gate) > 0:
                waits += Waits(gate=wait)
            elif (wait := self._rates.wait(self._clock.monotonic(), need)) > 0:
                waits += Waits(rate=wait)
            else:
                return waits
            await self._clock.sleep(wait)

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


class Permit:
    """The right to send one request; made by `Limiter.permit`, held with `async with`.

    `waits` tells what it took to get it: `queue` for a slot, `rate` for a limit, `gate` after a throttle; who stands behind others waits
    for what the first in line waits for. `sent` is the monotonic time at which it was given.

    A permit that is asked for while the same context holds one of this limiter does not stand in line: it borrows the slot of that one, one
    borrower at a time, so that nested work neither waits for itself nor exceeds the concurrency. The gate and the rates hold for it too.
    """

    def __init__(self, limiter: Limiter, need: Mapping[str, float]) -> None:
        self.waits = Waits()
        self.sent = -math.inf
        self._limiter = limiter
        self._need = need
        self._reservation: Mapping[str, Sent] = {}
        self._around: tuple[Permit, ...] = ()
        self._lender: Permit | None = None
        self._lent = asyncio.Lock()
        self._open = False

    async def __aenter__(self) -> Self:
        """Wait for the permit; when this is cancelled, nobody else notices."""
        limiter = self._limiter
        self._around = _HELD.get()
        booking = _BOOKED.get()
        if booking is not None and booking.is_for(limiter):
            self.waits, self.sent = booking.waits, booking.sent
            self._reservation = booking.use(self._need)
            self._open = True
            _HELD.set((*self._around, self))
            return self
        self._lender = next((permit for permit in reversed(self._around) if permit._open and permit._limiter is limiter), None)
        reason = "gate" if limiter.gate > 0 else "limiter"
        with waiting(reason, words=lambda: limiter.waiting), tell_wait(*limiter._foreseen(self._need)) as told:
            self.waits = await (self._lender._lend(self._need) if self._lender is not None else limiter._admit(self._need))
            told(self.waits)
        self.sent = limiter._clock.monotonic()
        self._reservation = limiter._rates.take(self.sent, self._need)
        self._open = True
        _HELD.set((*self._around, self))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the slot back."""
        self._open = False
        _HELD.set(self._around)
        if self._lender is not None:
            self._lender._lent.release()
            return
        self._limiter._in_flight -= 1
        self._limiter._wake()

    async def _lend(self, need: Mapping[str, float]) -> Waits:
        clock = self._limiter._clock
        asked = clock.monotonic()
        await self._lent.acquire()
        try:
            return Waits(queue=clock.monotonic() - asked) + await self._limiter._borrow(need)
        except BaseException:
            self._lent.release()
            raise

    def settle(self, *, tokens: float) -> None:
        """Replace the estimate by the tokens that were really used."""
        self._limiter._rates.correct(self._reservation, "tokens", tokens)
        self._limiter._wake()

    def succeeded(self) -> None:
        """Tell that the request succeeded: the concurrency may grow, and a throttle is over."""
        self._limiter._slots.succeeded()
        self._limiter._gate.succeeded(self.sent)
        self._limiter._wake()

    def timed_out(self) -> None:
        """Tell that the request took too long: the concurrency shrinks a little."""
        self._limiter._slots.timed_out(sent=self.sent, now=self._limiter._clock.monotonic())

    def throttled(self, hint: float | None = None) -> None:
        """Tell that the request was refused as too fast, see `Limiter.throttle`."""
        self._limiter.throttle(hint, sent=self.sent)


class Booking:
    """A permit that was got before its request is written, so that a batch can go where it may go first; made by `Limiter.book`.

    While it is held, the first permit of its limiter that the context asks for is this one: it neither waits again nor counts twice.
    """

    def __init__(self, limiter: Limiter, waits: Waits, sent: float, reservation: Mapping[str, Sent]) -> None:
        self.waits = waits
        self.sent = sent
        self._limiter = limiter
        self._reservation = reservation
        self._open = True

    def is_for(self, limiter: Limiter) -> bool:
        """Tell whether a permit of this limiter may be had here."""
        return self._open and limiter is self._limiter

    def use(self, need: Mapping[str, float]) -> Mapping[str, Sent]:
        """Hand over slot and reservation to a permit that needs so many units."""
        self._open = False
        for unit, units in need.items():
            self._limiter._rates.correct(self._reservation, unit, units)
        return self._reservation

    def cancel(self) -> None:
        """Give back what was not used; may be called twice."""
        if self._open:
            self.use(dict.fromkeys(self._reservation, 0.0))
            self._limiter._in_flight -= 1
            self._limiter._wake()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Offer the booking to what runs inside; what is not used is given back."""
        token = _BOOKED.set(self)
        try:
            yield
        finally:
            _BOOKED.reset(token)
            self.cancel()


_BOOKED: ContextVar[Booking | None] = ContextVar("asyncrun_booking", default=None)
_HELD: ContextVar[tuple[Permit, ...]] = ContextVar("asyncrun_permits", default=())
