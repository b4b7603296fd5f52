"""Permits: the right to send one request, waited for when it is sent, or reserved before it is written."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from asyncrun.aio.limits import need_of, tokens_by_unit
from asyncrun.aio.waiting_line import WaitingLine
from asyncrun.aio.worker_state import wait_event, waiting
from asyncrun.usage import Waits

if TYPE_CHECKING:
    from asyncrun.aio.limiter import Limiter
    from asyncrun.aio.limits import Sent


class Admission(NamedTuple):
    """What a limiter gives to a request that may go: what was waited, when that ended, its units, and the event loop that it is for."""

    waits: Waits
    sent: float
    taken: Mapping[str, Sent]
    loop: asyncio.AbstractEventLoop


class Permit:
    """The right to send one request; made by `Limiter.permit`, held with `async with`.

    `waits` tells what it took to get it: `queue` for a slot, `rate` for a limit, `gate` after a throttle; who stands behind others waits
    for what the first in line waits for. `sent` is the monotonic time at which it was given.

    A permit that is asked for while the same context holds one of this limiter does not stand in line: it borrows the slot of that one, one
    borrower at a time, so that nested work neither waits for itself nor exceeds the concurrency. The gate and the rates hold for it too.
    """

    def __init__(self, limiter: Limiter, need: Mapping[str, float], admit_now: Callable[[Mapping[str, float]], Admission | None]) -> None:
        self.waits = Waits()
        self.sent = -math.inf
        self._limiter = limiter
        self._need = need
        self._admit_now = admit_now
        self._taken: Mapping[str, Sent] = {}
        self._around: tuple[Permit | Reservation, ...] = ()
        self._lender: Permit | None = None
        self._loop: asyncio.AbstractEventLoop
        self._open = False

    async def __aenter__(self) -> Self:
        """Wait for the permit; when this is cancelled, nobody else notices."""
        self._around = _held.get()
        reservation = self._reserved() if self._around else None
        if reservation is not None:
            admitted = reservation.use(self._need)
        else:
            self._lender = self._enclosing() if self._around else None
            at_once = self._admit_now(self._need) if self._lender is None else None
            admitted = await self._wait() if at_once is None else at_once
        self.waits, self.sent, self._taken, self._loop = admitted
        self._open = True
        _held.set((*self._around, self))
        return self

    async def _wait(self) -> Admission:
        limiter = self._limiter
        reason = "gate" if limiter.gate > 0 else "limiter"
        with waiting(reason, words=lambda: limiter.waiting), wait_event(*limiter.expected_wait(self._need)) as end_event:
            admitted = await (limiter.admit(self._need) if self._lender is None else self._lender._lend(self._need))
            end_event(admitted.waits)
        return admitted

    def _reserved(self) -> Reservation | None:
        """Return the reservation that this permit may use."""
        return next((held for held in reversed(self._around) if isinstance(held, Reservation) and held.is_for(self._limiter)), None)

    def _enclosing(self) -> Permit | None:
        """Return the permit of this limiter that the running code is inside of."""
        permits = (held for held in reversed(self._around) if isinstance(held, Permit))
        return next((permit for permit in permits if permit._open and permit._limiter is self._limiter), None)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the slot back."""
        self._open = False
        _held.set(self._around)
        if self._lender is not None:
            self._lender._lending().leave(self._loop)
            return
        self._limiter.release(self._loop)

    async def _lend(self, need: Mapping[str, float]) -> Admission:
        line = self._lending()
        waits, _ = await line.wait(lambda: ("queue", math.inf) if line.taken else None, lambda: None)
        try:
            admitted = await self._limiter.admit_again(need)
        except BaseException:
            line.leave(asyncio.get_running_loop())
            raise
        return admitted._replace(waits=waits + admitted.waits)

    def _lending(self) -> WaitingLine:
        # Made on use, as few permits have somebody inside who wants another; of two that threads make at once, one is kept.
        line: WaitingLine = vars(self).setdefault("_borrowers", WaitingLine(self._limiter.clock))
        return line

    def settle(self, *, tokens: float, output_tokens: float = 0) -> None:
        """Replace the estimate by the tokens that were really used; `output_tokens` are those of them that came out."""
        if self._taken:
            self._limiter.correct(self._taken, tokens_by_unit(tokens, output_tokens))

    def succeeded(self) -> None:
        """Tell that the request succeeded: the concurrency may grow, and a throttle is over."""
        self._limiter.succeeded(self.sent)

    def timed_out(self) -> None:
        """Tell that the request took too long: the concurrency shrinks a little."""
        self._limiter.timed_out(self.sent)

    def throttled(self, hint: float | None = None) -> None:
        """Tell that the request was refused as too fast, see `Limiter.throttle`."""
        self._limiter.throttle(hint, sent=self.sent)


class Reservation:
    """A permit that was got before its request is written, so that a batch can go where it may go first; made by `Limiter.reserve`.

    While it is held, the first permit of its limiter that the context asks for is this one: it neither waits again nor counts twice.
    """

    def __init__(self, limiter: Limiter, admitted: Admission) -> None:
        self.waits = admitted.waits
        self._limiter = limiter
        self._admitted = admitted
        self._open = True

    def is_for(self, limiter: Limiter) -> bool:
        """Tell whether a permit of this limiter may be had here."""
        return self._open and limiter is self._limiter

    def use(self, need: Mapping[str, float]) -> Admission:
        """Hand over to a permit that needs so many units."""
        self._open = False
        self._limiter.correct(self._admitted.taken, need)
        return self._admitted

    def cancel(self) -> None:
        """Give back what was not used; may be called twice."""
        if self._open:
            self.use(dict.fromkeys(self._admitted.taken, 0.0))
            self._limiter.release(self._admitted.loop)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Offer the reservation to what runs inside; what is not used is given back."""
        token = _held.set((*_held.get(), self))
        try:
            yield
        finally:
            _held.reset(token)
            self.cancel()


_held: ContextVar[tuple[Permit | Reservation, ...]] = ContextVar("asyncrun_permits", default=())
"""What the running code holds, the innermost last: a nested call must find the permit that it is inside of, through code of others."""


async def reserve_first(
    limiters: Sequence[Limiter], *, tokens: float = 0, inputs: float = 0, output_tokens: float = 0
) -> tuple[int, Reservation]:
    """Return which limiter lets a request go first, and the reservation there; of several that do so at once, the first in order.

    Who waits stands in the lines of all of them, so that nobody overtakes; when this is cancelled, nobody else notices.
    """
    need = need_of(tokens, inputs, output_tokens)
    expected = [limiter.expected_wait(need) for limiter in limiters]
    for place, (_, seconds) in enumerate(expected):
        if seconds == 0:
            return place, await limiters[place].reserve(tokens=tokens, inputs=inputs, output_tokens=output_tokens)
    reason, least = min(expected, key=lambda wait: wait[1])
    with waiting("gate" if reason == "gate" else "limiter"), wait_event(reason, least) as end_event:
        place, reservation = await _race(limiters, tokens, inputs, output_tokens)
        end_event(reservation.waits)
        return place, reservation


async def _race(limiters: Sequence[Limiter], tokens: float, inputs: float, output_tokens: float) -> tuple[int, Reservation]:
    lines = [asyncio.create_task(limiter.reserve(tokens=tokens, inputs=inputs, output_tokens=output_tokens)) for limiter in limiters]
    won: int | None = None
    try:
        await asyncio.wait(lines, return_when=asyncio.FIRST_COMPLETED)
        won = next(place for place, line in enumerate(lines) if line.done())
    finally:
        for line in lines:
            line.cancel()
        ended = await asyncio.gather(*lines, return_exceptions=True)
        for place, reservation in enumerate(ended):
            if place != won and isinstance(reservation, Reservation):
                reservation.cancel()
    return won, lines[won].result()
