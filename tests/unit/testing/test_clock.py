import asyncio

import pytest

from asyncrun.testing.clock import FakeClock


@pytest.mark.asyncio
async def test_time_jumps_to_the_next_sleeper_when_all_wait() -> None:
    clock, woken = FakeClock(), []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    await asyncio.gather(sleeper("c", 30), sleeper("a", 10), sleeper("b", 10), sleeper("d", 86400))

    assert woken == [("a", 10.0), ("b", 10.0), ("c", 30.0), ("d", 86400.0)]


@pytest.mark.asyncio
async def test_time_stands_still_while_a_task_can_go_on() -> None:
    clock, seen = FakeClock(), []

    async def worker() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
            seen.append(clock.monotonic())

    await asyncio.gather(clock.sleep(1), worker())

    assert set(seen) == {0.0}


@pytest.mark.asyncio
async def test_without_auto_only_the_test_moves_time() -> None:
    clock, woken = FakeClock(auto=False), []

    async def ticker() -> None:
        while True:
            await clock.sleep(10)
            woken.append(clock.monotonic())

    task = asyncio.create_task(ticker())
    await clock.advance(25)
    assert (woken, clock.monotonic()) == ([10.0, 20.0], 25.0)

    await clock.advance(5)
    assert woken == [10.0, 20.0, 30.0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
async def test_a_cancelled_sleeper_does_not_move_time() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1000))
    await asyncio.sleep(0)
    task.cancel()

    await clock.sleep(1)

    assert task.cancelled()
    assert clock.monotonic() == 1.0


@pytest.mark.asyncio
async def test_the_wall_clock_jumps_without_the_monotonic_one() -> None:
    clock = FakeClock(wall=1000.0)
    await clock.sleep(5)
    clock.jump_wall(-86400)

    assert (clock.now(), clock.monotonic()) == (1005.0 - 86400, 5.0)


def test_it_serves_one_loop_after_another() -> None:
    clock = FakeClock()
    asyncio.run(clock.sleep(1))
    asyncio.run(clock.sleep(2))

    assert clock.monotonic() == 3.0


@pytest.mark.asyncio
async def test_a_task_that_never_waits_is_an_error_and_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.testing.clock.MOST_TURNS", 100)

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    task = asyncio.create_task(spin())
    with pytest.raises(RuntimeError, match="never waits"):
        await FakeClock().sleep(1)
    task.cancel()


@pytest.mark.asyncio
async def test_time_that_moves_by_itself_can_be_moved_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.testing.clock.MOST_TURNS", 100)
    clock, woken = FakeClock(), []

    async def ticker() -> None:
        for _ in range(4):
            await clock.sleep(10)
            woken.append(clock.monotonic())

    task = asyncio.create_task(ticker())
    await clock.advance(25)
    assert (woken, clock.monotonic()) == ([10.0, 20.0], 25.0)
    await task
    assert woken == [10.0, 20.0, 30.0, 40.0]


@pytest.mark.asyncio
async def test_moving_time_beside_a_task_that_never_waits_is_an_error_and_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.testing.clock.MOST_TURNS", 100)

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    task = asyncio.create_task(spin())
    with pytest.raises(RuntimeError, match="never waits"):
        await FakeClock(auto=False).advance(1)
    task.cancel()
