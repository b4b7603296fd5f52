"""Blocking work in a thread of its own: what it gives back, and that nobody waits for it for ever."""

import asyncio
import threading

import pytest

from asyncrun.aio.thread_calls import in_own_thread


def test_blocking_work_in_a_thread_of_its_own_gives_back_what_it_returns_or_raises() -> None:
    def fail() -> None:
        raise OSError("no")

    assert asyncio.run(in_own_thread(lambda: threading.current_thread().daemon, 60))
    with pytest.raises(OSError, match="no"):
        asyncio.run(in_own_thread(fail, 60))


def test_blocking_work_that_takes_too_long_is_left_behind_and_what_it_says_later_is_heard_by_nobody() -> None:
    goes_on, ended = threading.Event(), threading.Event()

    def hang() -> None:
        goes_on.wait()
        ended.set()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await in_own_thread(hang, 0.0)
        goes_on.set()
        await asyncio.to_thread(ended.wait)

    asyncio.run(give_up())
    goes_on.clear()
    ended.clear()
    with pytest.raises(TimeoutError):
        asyncio.run(in_own_thread(hang, 0.0))
    goes_on.set()
    ended.wait()
