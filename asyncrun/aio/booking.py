"""The first of several limiters that lets a request go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asyncrun.aio.attempt_events import tell_wait
from asyncrun.aio.limits import Booking, Limiter
from asyncrun.aio.worker_state import waiting


async def book_first(limiters: Sequence[Limiter], *, tokens: float = 0, inputs: float = 0) -> tuple[int, Booking]:
    """Return which limiter lets a request go first, and the booking there; of several that do so at once, the first in order.

    Who waits stands in the lines of all of them, so that nobody overtakes; when this is cancelled, nobody else notices.
    """
    foreseen = [limiter.foresee(tokens=tokens, inputs=inputs) for limiter in limiters]
    for place, (_, seconds) in enumerate(foreseen):
        if seconds == 0:
            return place, await limiters[place].book(tokens=tokens, inputs=inputs)
    reason, least = min(foreseen, key=lambda wait: wait[1])
    with waiting("gate" if reason == "gate" else "limiter"), tell_wait(reason, least) as told:
        place, booking = await _race(limiters, tokens, inputs)
        told(booking.waits)
        return place, booking


async def _race(limiters: Sequence[Limiter], tokens: float, inputs: float) -> tuple[int, Booking]:
    lines = [asyncio.create_task(limiter.book(tokens=tokens, inputs=inputs)) for limiter in limiters]
    won: int | None = None
    try:
        await asyncio.wait(lines, return_when=asyncio.FIRST_COMPLETED)
        won = next(place for place, line in enumerate(lines) if line.done())
    finally:
        for line in lines:
            line.cancel()
        ended = await asyncio.gather(*lines, return_exceptions=True)
        for place, booking in enumerate(ended):
            if place != won and isinstance(booking, Booking):
                booking.cancel()
    return won, lines[won].result()
