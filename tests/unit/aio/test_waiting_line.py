"""Event loops in threads of their own stand in one line: limits hold for all together, and one that stands still stops nobody."""

import asyncio
import copy
import gc
import random
import threading
import weakref
from collections.abc import Awaitable, Callable

import pytest

from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.clock import SystemClock

MOST_SECONDS = 60
"""A thread that takes longer hangs."""


def make(concurrency: int, **limits: float) -> Limiter:
    return Limiter(Limits(concurrency=concurrency, **limits), SystemClock(), random.Random(1), adaptive=False)


def at_once(*mains: Callable[[], Awaitable[object]]) -> None:
    """Run each in an event loop of its own, in a thread of its own."""
    threads = [threading.Thread(target=lambda main=main: asyncio.run(main()), daemon=True) for main in mains]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(MOST_SECONDS)
    assert not any(thread.is_alive() for thread in threads)


class Slots:
    """How many are inside of permits, in all threads."""

    def __init__(self) -> None:
        self.inside = self.most = self.ended = 0
        self._lock = threading.Lock()

    async def use(self, limiter: Limiter, turns: int = 2) -> None:
        async with limiter.permit(tokens=1) as permit:
            self._count(1)
            for _ in range(turns):
                await asyncio.sleep(0)
            self._count(-1)
            permit.succeeded()

    def _count(self, step: int) -> None:
        with self._lock:
            self.inside += step
            self.most = max(self.most, self.inside)
            self.ended += step < 0


@pytest.mark.parametrize("concurrency", [1, 3])
def test_loops_in_threads_never_have_more_in_flight_together_than_the_concurrency(concurrency: int) -> None:
    limiter, slots = make(concurrency), Slots()

    async def main() -> None:
        await asyncio.gather(*(slots.use(limiter) for _ in range(50)))

    at_once(*[main] * 6)
    assert (slots.ended, slots.inside, slots.most) == (300, 0, concurrency)
    assert (limiter.in_flight, limiter.expected_wait({})) == (0, ("", 0.0))


def test_a_rate_holds_for_all_loops_together() -> None:
    limiter, slots, clock = make(8, requests_per_minute=6000), Slots(), SystemClock()
    began = clock.monotonic()

    async def main() -> None:
        await asyncio.gather(*(slots.use(limiter) for _ in range(10)))

    at_once(*[main] * 3)
    assert slots.ended == 30
    assert clock.monotonic() - began >= 29 / 6000 * 60


def test_the_slots_and_the_turns_of_a_closed_loop_are_free(caplog: pytest.LogCaptureFixture) -> None:
    limiter, slots = make(1), Slots()
    loop = asyncio.new_event_loop()
    left = loop.run_until_complete(begin(limiter, slots))
    loop.close()
    at_once(lambda: slots.use(limiter), lambda: slots.use(limiter))
    assert slots.ended == 2
    del left, loop
    gc.collect()
    at_once(lambda: slots.use(limiter))
    assert (limiter.in_flight, limiter.expected_wait({})) == (0, ("", 0.0))
    assert {record.message.partition("\n")[0] for record in caplog.records} == {"Task was destroyed but it is pending!"}


async def begin(limiter: Limiter, slots: Slots) -> list[asyncio.Task[None]]:
    """Return tasks of which one has the slot, and two wait for it."""
    tasks = [asyncio.create_task(slots.use(limiter, 10)) for _ in range(3)]
    await asyncio.sleep(0)
    return tasks


def test_a_loop_that_is_stopped_holds_up_no_other_and_goes_on_afterwards() -> None:
    limiter, slots = make(1), Slots()
    loop = asyncio.new_event_loop()
    left = loop.run_until_complete(begin(limiter, slots))
    assert slots.inside == 1
    at_once(lambda: slots.use(limiter), lambda: slots.use(limiter))
    assert slots.ended == 2
    loop.run_until_complete(asyncio.gather(*left))
    loop.close()
    assert (slots.ended, limiter.in_flight) == (5, 0)


def test_a_loop_that_is_blocked_by_the_one_behind_it_does_not_hang() -> None:
    limiter, slots = make(1), Slots()

    async def main() -> None:
        tasks = await begin(limiter, slots)
        at_once(lambda: slots.use(limiter))
        assert slots.ended == 1
        await asyncio.gather(*tasks)

    at_once(main)
    assert (slots.ended, limiter.in_flight) == (4, 0)


def test_one_who_is_cancelled_in_one_loop_disturbs_nobody_in_another() -> None:
    limiter, slots = make(1), Slots()

    async def impatient() -> None:
        tasks = [asyncio.create_task(slots.use(limiter)) for _ in range(40)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def patient() -> None:
        await asyncio.gather(*(slots.use(limiter) for _ in range(40)))

    at_once(impatient, patient, impatient)
    assert slots.ended >= 40
    assert (limiter.in_flight, limiter.expected_wait({})) == (0, ("", 0.0))


def test_nested_work_in_another_thread_borrows_the_slot_of_its_caller() -> None:
    limiter, slots = make(1), Slots()

    async def main() -> None:
        async with limiter.permit():
            await asyncio.gather(*(asyncio.to_thread(asyncio.run, slots.use(limiter)) for _ in range(3)))

    at_once(main)
    assert (slots.ended, slots.most, limiter.in_flight) == (3, 1, 0)


def test_no_loop_is_kept_in_memory_by_a_line_that_it_has_stood_in() -> None:
    limiter, slots = make(1), Slots()
    loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

    async def main() -> None:
        loops.add(asyncio.get_running_loop())
        await asyncio.gather(*(slots.use(limiter) for _ in range(20)))

    at_once(*[main] * 4)
    gc.collect()
    assert len(loops) == 0
    assert slots.ended == 80


def test_a_copy_of_a_limiter_has_nobody_in_line() -> None:
    limiter, slots = make(1), Slots()

    async def main() -> None:
        async with limiter.permit():
            other = copy.deepcopy(limiter)
            assert (limiter.in_flight, other.in_flight) == (1, 0)
            await slots.use(other)

    asyncio.run(main())
    assert slots.ended == 1
