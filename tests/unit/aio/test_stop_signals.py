import asyncio
import signal
import threading

import pytest

from asyncrun.aio.stop import StopRequest, handle_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.asyncio
async def test_former_handlers_are_back_after_the_block() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]

    with handle_signals(StopRequest(), lambda: None) as handled:
        assert handled
        assert [signal.getsignal(number) for number in NUMBERS] != before

    assert [signal.getsignal(number) for number in NUMBERS] == before


@pytest.mark.asyncio
async def test_the_first_signal_stops_the_next_cancel() -> None:
    stop, cancelled = StopRequest(), []
    with handle_signals(stop, lambda: cancelled.append(True), grace=3600):
        signal.raise_signal(signal.SIGTERM)
        await stop.wait()
        assert (stop.reason, stop.signal, cancelled) == ("SIGTERM", signal.SIGTERM, [])

        signal.raise_signal(signal.SIGINT)
        while not cancelled:
            await asyncio.sleep(0)
    assert stop.signal == signal.SIGTERM


@pytest.mark.asyncio
async def test_an_ignored_hangup_stays_ignored() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handle_signals(StopRequest(), lambda: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_off_the_main_thread_nothing_is_handled() -> None:
    seen: list[bool] = []

    async def main() -> None:
        with handle_signals(StopRequest(), lambda: None) as handled:
            seen.append(handled)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()

    assert seen == [False]
