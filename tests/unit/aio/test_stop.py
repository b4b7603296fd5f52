import asyncio
import signal

import pytest

from asyncrun.aio.stop import StopRequest


def test_nothing_is_requested_at_first() -> None:
    stop = StopRequest()

    assert (stop.requested, stop.reason, stop.signal) == (False, None, None)


def test_the_first_reason_stays_and_a_later_signal_is_kept() -> None:
    stop = StopRequest()
    stop.request("budget")
    stop.request("SIGTERM", signal.SIGTERM)
    stop.request("SIGINT", signal.SIGINT)

    assert (stop.requested, stop.reason, stop.signal) == (True, "budget", signal.SIGTERM)


@pytest.mark.asyncio
async def test_who_waits_goes_on_when_it_is_requested() -> None:
    stop = StopRequest()
    waiter = asyncio.create_task(stop.wait())
    await asyncio.sleep(0)
    assert not waiter.done()

    stop.request("max runtime")

    await waiter
    await stop.wait()
