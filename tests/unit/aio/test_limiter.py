import asyncio
import itertools
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits, StatedLimit
from asyncrun.aio.permit import Permit
from asyncrun.testing.clock import FakeClock
from asyncrun.usage import Waits
from tests.depth import times

Sent = list[tuple[float, int]]


def make(clock: FakeClock, *, adaptive: bool = False, concurrency: int | None = 1000, **limits: float) -> Limiter:
    return Limiter(Limits(concurrency=concurrency, **limits), clock, random.Random(1), adaptive=adaptive)


async def send(limiter: Limiter, clock: FakeClock, log: Sent, name: int, *, seconds: float = 0.0, tokens: float = 0) -> None:
    async with limiter.permit(tokens=tokens) as permit:
        log.append((clock.monotonic(), name))
        if seconds:
            await clock.sleep(seconds)
        permit.succeeded()


@settings(max_examples=times(quick=15, deep=40))
@given(
    limit=st.integers(1, 60),
    arrivals=st.lists(st.tuples(st.floats(0, 200), st.floats(0, 30), st.integers(0, 300)), min_size=1, max_size=60),
)
def test_random_arrivals_never_exceed_the_limits_in_any_60_s_and_are_served_in_order(
    limit: int, arrivals: list[tuple[float, float, int]]
) -> None:
    async def main() -> None:
        clock = FakeClock()
        limiter = make(clock, concurrency=4, requests_per_minute=limit, tokens_per_minute=300)
        log: Sent = []

        async def arrive(number: int) -> None:
            at, seconds, tokens = ordered[number]
            await clock.sleep(at)
            await send(limiter, clock, log, number, seconds=seconds, tokens=tokens)

        ordered = sorted(arrivals, key=lambda arrival: arrival[0])
        await asyncio.gather(*map(arrive, range(len(ordered))))

        assert [number for _, number in log] == list(range(len(ordered)))
        for start, _ in log:
            window = [number for at, number in log if start <= at < start + 60]
            assert len(window) <= limit
            assert sum(ordered[number][2] for number in window) <= 300

    asyncio.run(main())


@pytest.mark.asyncio
async def test_a_big_request_is_not_starved_by_small_ones() -> None:
    clock, log = FakeClock(), []
    limiter = make(clock, tokens_per_minute=1000)
    small = [send(limiter, clock, log, 0, tokens=100) for _ in range(5)]
    big = send(limiter, clock, log, 1, tokens=900)
    later = [send(limiter, clock, log, 2, tokens=1) for _ in range(50)]

    await asyncio.gather(*small, big, *later)

    assert [name for _, name in log] == [0] * 5 + [1] + [2] * 50


@pytest.mark.asyncio
async def test_a_request_beyond_the_limit_itself_goes_alone() -> None:
    clock, log = FakeClock(), []
    limiter = make(clock, tokens_per_minute=100)

    await asyncio.gather(*(send(limiter, clock, log, number, tokens=tokens) for number, tokens in enumerate((10, 5000, 10))))

    (first, _), (big, _), (last, _) = log
    assert big > first + 60
    assert last > big + 60


@pytest.mark.asyncio
@pytest.mark.parametrize("victim", [0, 1, 2])
async def test_cancelling_a_waiter_disturbs_nobody(victim: int) -> None:
    clock = FakeClock(auto=False)
    limiter = make(clock, requests_per_minute=60)
    log: Sent = []
    await send(limiter, clock, log, -1)
    tasks = [asyncio.create_task(send(limiter, clock, log, number)) for number in range(4)]
    await clock.advance(0.5)

    tasks[victim].cancel()
    await clock.advance(10)

    assert [task.cancelled() for task in tasks] == [number == victim for number in range(4)]
    assert [(round(at, 2), name) for at, name in log[1:]] == [
        (pytest.approx(1.005 * (place + 1), abs=0.01), name) for place, name in enumerate(number for number in range(4) if number != victim)
    ]
    assert (limiter.in_flight, limiter.expected_wait({"requests": 0})[0]) == (0, "")


@pytest.mark.asyncio
async def test_a_slot_is_given_back_when_the_holder_fails_or_is_cancelled() -> None:
    clock = FakeClock()
    limiter = make(clock, concurrency=1)
    with pytest.raises(ZeroDivisionError):
        async with limiter.permit():
            raise ZeroDivisionError
    holder = asyncio.create_task(send(limiter, clock, [], 0, seconds=1000))
    await asyncio.sleep(0)
    assert limiter.in_flight == 1
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder

    assert limiter.in_flight == 0
    await send(limiter, clock, [], 1)


@settings(max_examples=times(quick=15, deep=30))
@given(cancelled=st.sets(st.integers(0, 19)), at=st.floats(0, 12))
@example(cancelled=set(range(20)), at=0.0)
def test_whoever_is_cancelled_the_others_are_all_served_in_order(cancelled: set[int], at: float) -> None:
    async def main() -> None:
        clock, log = FakeClock(), []
        limiter = make(clock, concurrency=2, requests_per_minute=120)
        tasks = [asyncio.create_task(send(limiter, clock, log, number, seconds=1.3)) for number in range(20)]
        await clock.sleep(at)
        done = {number for number in cancelled if tasks[number].done()}
        for number in cancelled:
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        served = [name for _, name in log]
        assert served == sorted(served)
        assert {number for number in range(20) if number not in cancelled} | done <= set(served)
        await clock.sleep(60)  # What was sent counts for so long, and nobody else is waited for.
        assert (limiter.in_flight, limiter.expected_wait({"requests": 0})[0]) == (0, "")

    asyncio.run(main())


@pytest.mark.asyncio
async def test_never_more_in_flight_than_the_concurrency_and_it_grows_with_success() -> None:
    clock, most, inside = FakeClock(), [0], 0
    limiter = make(clock, adaptive=True, concurrency=5)

    async def job() -> None:
        nonlocal inside
        async with limiter.permit() as permit:
            inside += 1
            assert inside <= limiter.concurrency
            most.append(inside)
            await clock.sleep(1)
            inside -= 1
            permit.succeeded()

    await asyncio.gather(*(job() for _ in range(60)))

    assert most[1:10] == [1, 2, 1, 2, 3, 1, 2, 3, 4]
    assert max(most) == 5


@pytest.mark.asyncio
async def test_after_a_throttle_all_wait_then_a_probe_goes_and_then_the_others_without_a_burst() -> None:
    clock, log = FakeClock(), []
    limiter = make(clock, concurrency=8, requests_per_minute=600)
    async with limiter.permit() as permit:
        permit.throttled(20.0)

    assert limiter.gate >= 20.0
    await asyncio.gather(*(send(limiter, clock, log, number, seconds=0.15) for number in range(10)))

    times = [at for at, _ in log]
    assert times[0] >= 20.0
    assert times[1] >= times[0] + 0.15
    assert all(later - earlier >= 0.05 for earlier, later in itertools.pairwise(times))


@pytest.mark.asyncio
async def test_the_gate_shuts_for_those_who_already_wait_and_is_only_ever_prolonged() -> None:
    clock, log = FakeClock(auto=False), []
    limiter = make(clock, requests_per_minute=60)
    await send(limiter, clock, log, 0)
    task = asyncio.create_task(send(limiter, clock, log, 1))
    await clock.advance(0.9)
    limiter.throttle(30.0)
    limiter.throttle(1.0)

    await clock.advance(29)
    assert len(log) == 1

    await clock.advance(5)
    await task


@pytest.mark.asyncio
async def test_a_volley_of_refusals_halves_the_concurrency_once() -> None:
    clock = FakeClock()
    limiter = make(clock, adaptive=True, concurrency=8)
    for _ in range(27):
        await send(limiter, clock, [], 0)
    assert limiter.concurrency == 8
    await clock.sleep(1)

    async with limiter.permit() as permit:
        for _ in range(8):
            await clock.sleep(0.1)
            permit.throttled()
    assert limiter.concurrency == 1

    await send(limiter, clock, [], 0)
    assert limiter.concurrency == 4


@pytest.mark.asyncio
async def test_actual_usage_corrects_the_estimate_while_others_wait() -> None:
    clock, log = FakeClock(), []
    limiter = make(clock, tokens_per_minute=6000)

    async def overestimated() -> None:
        async with limiter.permit(tokens=6000) as permit:
            await clock.sleep(1)
            permit.settle(tokens=100)
            await clock.sleep(50)

    await asyncio.gather(overestimated(), send(limiter, clock, log, 0, tokens=1000))

    assert 1.0 <= log[0][0] < 2.1


@pytest.mark.asyncio
async def test_the_permit_tells_where_the_seconds_went() -> None:
    clock = FakeClock()
    limiter = make(clock, concurrency=1, requests_per_minute=60)

    async def hold() -> Permit:
        async with limiter.permit() as permit:
            await clock.sleep(0.4)
        return permit

    first, second = await asyncio.gather(hold(), _waits(limiter))
    limiter.throttle(10.0)
    third = await _waits(limiter)

    assert (first.waits.queue, first.waits.rate, first.waits.gate) == (0, 0, 0)
    assert second.queue == pytest.approx(0.4)
    assert second.rate == pytest.approx(1 / 0.995 - 0.4)
    assert third.gate == pytest.approx(10.5, abs=0.5)
    assert third.queue == third.rate == 0


@pytest.mark.asyncio
async def test_who_stands_behind_others_waits_for_what_they_wait_for() -> None:
    clock = FakeClock()
    limiter = make(clock, requests_per_minute=60)

    waits = await asyncio.gather(*(_waits(limiter) for _ in range(4)))

    assert [wait.rate for wait in waits] == [pytest.approx(number / 0.995) for number in range(4)]


async def _waits(limiter: Limiter) -> Waits:
    async with limiter.permit() as permit:
        permit.succeeded()
    return permit.waits


@pytest.mark.asyncio
async def test_progress_is_told_what_the_next_request_waits_for() -> None:
    clock = FakeClock(auto=False)
    limiter = make(clock, requests_per_minute=20)
    assert limiter.waiting is None
    task = asyncio.gather(*(_waits(limiter) for _ in range(2)))
    await clock.advance(0)
    assert limiter.waiting == "rate limit 4 s"

    limiter.throttle(50.0)
    await clock.advance(0)
    assert limiter.waiting is not None
    assert limiter.waiting.startswith("throttled 5")

    await clock.advance(200)
    await task
    assert limiter.waiting is None


@pytest.mark.asyncio
async def test_nested_work_under_the_same_limiter_cannot_wait_for_itself() -> None:
    clock, most, inside = FakeClock(), 0, 0
    limiter = make(clock, concurrency=1, requests_per_minute=6000)

    async def leaf() -> None:
        nonlocal most, inside
        async with limiter.permit():
            inside += 1
            most = max(most, inside)
            await clock.sleep(1)
            inside -= 1

    async def branch() -> None:
        async with limiter.permit():
            await asyncio.gather(leaf(), leaf(), leaf())

    await asyncio.gather(branch(), branch(), leaf())

    assert clock.monotonic() == pytest.approx(7, abs=0.2)
    assert most == 1
    assert limiter.in_flight == 0


@pytest.mark.asyncio
async def test_a_context_that_outlives_its_permit_is_no_longer_nested() -> None:
    clock = FakeClock()
    limiter = make(clock, concurrency=1)
    async with limiter.permit():
        task = asyncio.create_task(_later(limiter, clock))
    async with limiter.permit():
        await clock.sleep(10)

    assert await task == 9.0


async def _later(limiter: Limiter, clock: FakeClock) -> float:
    await clock.sleep(1)
    async with limiter.permit() as permit:
        return permit.waits.queue


@pytest.mark.asyncio
async def test_a_stated_limit_stays_and_an_unknown_one_is_learned() -> None:
    clock, log = FakeClock(), []
    limiter = make(clock, requests_per_minute=60)
    limiter.learn({"requests": StatedLimit(6000), "tokens": StatedLimit(60)})

    await asyncio.gather(*(send(limiter, clock, log, number, tokens=10) for number in range(2)))

    assert log[1][0] == pytest.approx(10.05, abs=0.01)


def test_one_limiter_serves_one_loop_after_another() -> None:
    clock, log = FakeClock(), []
    limiter = make(clock, concurrency=1, requests_per_minute=60)

    async def two() -> None:
        await asyncio.gather(send(limiter, clock, log, 0, seconds=0.1), send(limiter, clock, log, 1))

    asyncio.run(two())
    asyncio.run(two())

    assert len(log) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests_per_minute": 0},
        {"tokens_per_minute": -1},
        {"inputs_per_minute": float("nan")},
        {"concurrency": 0},
        {"share": 0},
        {"share": 1.5},
    ],
)
def test_limits_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Limits(**wrong)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_our_share_of_the_rates_is_what_we_use() -> None:
    clock, log = FakeClock(), []
    limiter = make(clock, requests_per_minute=120, share=0.5)

    await asyncio.gather(*(send(limiter, clock, log, number) for number in range(2)))

    assert log[1][0] == pytest.approx(1.005, abs=0.001)


@pytest.mark.asyncio
async def test_nested_pools_under_one_limiter_end() -> None:
    clock = FakeClock()
    limiter = make(clock, concurrency=2, requests_per_minute=6000)

    async def leaf() -> int:
        async with limiter.permit():
            await clock.sleep(1)
            return limiter.in_flight

    async def branch() -> list[int]:
        async with limiter.permit():
            return await run_jobs((leaf() for _ in range(5)), workers=5)

    results = await run_jobs((branch() for _ in range(4)), workers=4)

    assert [max(in_flight) for in_flight in results] == [2] * 4
    assert clock.monotonic() == pytest.approx(10, abs=0.5)
