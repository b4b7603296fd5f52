"""The stop of a run: asked for once, by a signal, its max runtime or its budget; a second signal cancels it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

MAX_RUNTIME = "max runtime"
"""The reason of a stop that the user has planned: it is no trouble."""


class StopRequest:
    """Says whether a run must end early, and why: no new work starts, what is in flight may finish.

    The first reason stays. A signal that comes later is kept too, because the exit code speaks of it first.
    Use it from the thread of the run's event loop.

    >>> stop = StopRequest()
    >>> stop.requested
    False
    >>> stop.request("max runtime"); stop.requested, stop.reason
    (True, 'max runtime')
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.reason: str | None = None
        """Why the run must end; None while it need not."""
        self.signal: int | None = None
        """The number of the signal that asked for it; None without."""

    @property
    def requested(self) -> bool:
        """Whether the run must end."""
        return self._event.is_set()

    def request(self, reason: str, signal: int | None = None) -> None:
        """Ask the run to end; may be called again."""
        if self.reason is None:
            self.reason = reason
        if self.signal is None:
            self.signal = signal
        self._event.set()

    async def wait(self) -> None:
        """Return once the run must end."""
        await self._event.wait()


GRACE = 10.0
"""Seconds that work in flight has after the first signal, or after the deadline of a job."""
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def handle_signals(stop: StopRequest, cancel: Callable[[], object], *, grace: float = GRACE) -> Iterator[bool]:
    """Handle SIGINT, SIGTERM and SIGHUP while the block runs, inside a running event loop.

    The first signal requests the stop. `cancel` (which cancels the main task) is called `grace` seconds later if the block still runs, and
    at once on a second signal. An ignored SIGHUP (nohup) stays ignored. Former handlers are back after the block.

    Yields whether signals are handled: not off the main thread, nor where the loop cannot (Windows); there it does nothing.

    Usage: `with handle_signals(stop, asyncio.current_task().cancel): ...`
    """
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def receive(number: signal.Signals) -> None:
        if timers:
            cancel()
            return
        stop.request(number.name, number)
        timers.append(loop.call_later(grace, cancel))

    former: dict[signal.Signals, Any] = {}
    try:
        yield _install(loop, receive, former)
    finally:
        for timer in timers:
            timer.cancel()
        for number, handler in former.items():
            loop.remove_signal_handler(number)
            if handler is not None:  # None: set by other code than Python, which cannot be put back
                signal.signal(number, handler)


def _install(loop: asyncio.AbstractEventLoop, receive: Callable[[signal.Signals], None], former: dict[signal.Signals, Any]) -> bool:
    """Set the handlers and note the former ones; return False where the loop cannot."""
    for name in _NAMES:
        number: signal.Signals | None = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue
        handler = signal.getsignal(number)
        try:
            loop.add_signal_handler(number, receive, number)
        except NotImplementedError:
            return False
        former[number] = handler
    return True


def raise_again(number: int) -> NoReturn:
    """End this process by a signal, after all clean-up, so that the shell sees 128 + number and a script stops as it should.

    Nothing runs after it: neither `finally` nor exit handlers.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # a closed pipe must not keep the process alive
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # The first process of a container is not ended by its own default action.
    os._exit(128 + number)
