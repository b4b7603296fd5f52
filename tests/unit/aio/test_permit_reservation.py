"""Of several limiters the first that lets a request go is taken, and the lines of the others are left as if nobody had stood there."""

import asyncio
import random

import pytest

from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.aio.permit import reserve_first
from asyncrun.testing.clock import FakeClock


def make(clock, concurrency=1, **limits):
    return Limiter(Limits(concurrency=concurrency, **limits), clock, random.Random(1), adaptive=False)


@pytest.mark.asyncio
async def test_the_first_in_order_is_taken_while_it_is_free():
    clock = FakeClock()
    limiters = [make(clock), make(clock)]
    places = [(await reserve_first(limiters))[0] for _ in range(2)]
    assert places == [0, 1]


@pytest.mark.asyncio
async def test_a_permit_inside_uses_the_booking_and_waits_for_nothing():
    clock = FakeClock()
    limiter = make(clock, requests_per_minute=60, tokens_per_minute=600)
    for expected in (0.0, 1.005, 2.01):
        _, booking = await reserve_first([limiter], tokens=10)
        with booking.held():
            assert limiter.in_flight == 1
            async with limiter.permit(tokens=10) as permit:
                assert limiter.in_flight == 1
                permit.succeeded()
        assert limiter.in_flight == 0
        assert clock.monotonic() == pytest.approx(expected, abs=0.01)


@pytest.mark.asyncio
async def test_a_permit_that_needs_less_than_was_booked_leaves_the_rest_to_others():
    clock = FakeClock()
    limiter = make(clock, tokens_per_minute=600)
    _, booking = await reserve_first([limiter], tokens=600)
    with booking.held():
        async with limiter.permit(tokens=6):
            pass
    async with limiter.permit(tokens=6):
        assert clock.monotonic() < 2


@pytest.mark.asyncio
async def test_the_next_permit_inside_waits_as_any():
    clock = FakeClock()
    limiter = make(clock, requests_per_minute=60)
    _, booking = await reserve_first([limiter])
    with booking.held():
        for _ in range(2):
            async with limiter.permit():
                pass
    assert clock.monotonic() > 1


@pytest.mark.asyncio
async def test_a_booking_is_no_permit_of_another_limiter():
    clock = FakeClock()
    booked, other = make(clock), make(clock)
    _, booking = await reserve_first([booked])
    with booking.held():
        async with other.permit():
            assert (booked.in_flight, other.in_flight) == (1, 1)
    assert (booked.in_flight, other.in_flight) == (0, 0)


@pytest.mark.asyncio
async def test_what_was_booked_and_not_used_counts_nowhere():
    clock = FakeClock()
    limiter = make(clock, requests_per_minute=1)
    for _ in range(5):
        _, booking = await reserve_first([limiter])
        with booking.held():
            pass
    assert clock.monotonic() == 0


@pytest.mark.asyncio
async def test_who_waits_is_let_in_where_room_is_first_and_the_others_keep_theirs():
    clock = FakeClock()
    slow, quick = make(clock), make(clock)
    held = [(await reserve_first([slow, quick]))[1] for _ in range(2)]
    waiting = asyncio.create_task(reserve_first([slow, quick]))
    await clock.sleep(5)
    held[1].cancel()
    place, booking = await waiting
    held[0].cancel()
    assert place == 1
    assert booking.waits.queue == pytest.approx(5)
    assert slow.in_flight == 0
    booking.cancel()
    assert [limiter.expected_wait({}) for limiter in (slow, quick)] == [("", 0.0)] * 2


@pytest.mark.asyncio
async def test_two_that_open_at_once_leave_only_one_booking():
    clock = FakeClock()
    limiters = [make(clock, requests_per_minute=60) for _ in range(3)]
    for limiter in limiters:
        async with limiter.permit():
            pass
    place, booking = await reserve_first(limiters)
    assert place == 0
    assert [limiter.in_flight for limiter in limiters] == [1, 0, 0]
    booking.cancel()
    async with limiters[1].permit():
        assert clock.monotonic() < 1.1


@pytest.mark.asyncio
async def test_who_is_cancelled_while_waiting_leaves_nothing():
    clock = FakeClock()
    limiters = [make(clock), make(clock)]
    held = [(await reserve_first(limiters))[1] for _ in range(2)]
    waiting = asyncio.create_task(reserve_first(limiters))
    await clock.sleep(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    for booking in held:
        booking.cancel()
    assert [(limiter.in_flight, limiter.expected_wait({})) for limiter in limiters] == [(0, ("", 0.0))] * 2
