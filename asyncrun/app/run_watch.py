"""What a run says of itself while it goes on: warnings of its parts, work that stalls, a signal, a machine that slept."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from asyncrun.aio.stall_report import render_report, report_on_signal, watch_stalls
from asyncrun.aio.stop import GRACE, StopRequest
from asyncrun.aio.worker_state import monitor_workers
from asyncrun.app.builder import JobBuilder
from asyncrun.callbacks.base import CallbackManager
from asyncrun.callbacks.schema import CBEventType
from asyncrun.clock import Clock, watch_suspension
from asyncrun.humanize import duration
from asyncrun.ports import Progress

SIGNAL_NOTE_DELAY = 0.3
"""Seconds after which a run that was asked to stop says why it goes on."""


@contextmanager
def watch_run(builder: JobBuilder, progress: Progress, clock: Clock, stop: StopRequest, *, signals: bool) -> Iterator[None]:
    """Say what each slot waits for when work stalls, and that the machine slept; with `signals` say what one does, and answer SIGUSR1."""

    def tell(text: str) -> None:
        for line in text.splitlines():
            progress.warn(line)

    with ExitStack() as stack:
        seen = stack.enter_context(monitor_workers())
        if signals:
            stack.enter_context(report_on_signal(lambda: tell(render_report(seen.busy, clock, builder.models.limits.waiting()))))
        stalls = asyncio.create_task(watch_stalls(seen.busy, seen.finished, tell, clock=clock))
        suspensions = asyncio.create_task(
            watch_suspension(clock, partial(resume, builder.manager, builder.models.renew_connections, progress))
        )
        told = asyncio.create_task(_tell_of_signal(stop, clock, tell))
        try:
            yield
        finally:
            for each in (stalls, suspensions, told):
                each.cancel()


async def _tell_of_signal(stop: StopRequest, clock: Clock, tell: Callable[[str], None]) -> None:
    """Say what a first signal does, unless that is done by then."""
    await stop.wait()
    await clock.sleep(SIGNAL_NOTE_DELAY)
    if stop.signal is not None:
        name = signal.Signals(stop.signal).name
        tell(f"{name}: what is in flight has {GRACE:.0f} s to finish, so that it is not paid for again; a second signal ends it at once")


async def resume(manager: CallbackManager, renew_connections: Callable[[], Awaitable[None]], progress: Progress, seconds: float) -> None:
    """Go on after `seconds` in which the machine was suspended, as its clocks say."""
    words = f"suspended for {duration(round(seconds))}"
    # No time passes in it on the clock that spans are measured with: the seconds are its own.
    with manager.event(CBEventType.WAIT, payload={"name": words, "suspended": seconds}):
        pass
    progress.warn(f"{words}: the machine slept, or its clock was set; connections are made anew")
    await renew_connections()


@contextmanager
def capture_warnings(tell: Callable[[str], object]) -> Iterator[None]:
    """Hand warnings to `tell`, which may be called in any thread; nobody but other runs of this process gets them meanwhile."""
    logger = logging.getLogger("asyncrun")
    others = [each for each in logger.handlers if isinstance(each, _WarningHandler)]
    handler = _WarningHandler(tell, propagated=others[0].propagated if others else logger.propagate)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        # Runs that overlap end in any order: the last one puts back what the first one has found.
        if not any(isinstance(each, _WarningHandler) for each in logger.handlers):
            logger.propagate = handler.propagated


class _WarningHandler(logging.Handler):
    def __init__(self, tell: Callable[[str], object], *, propagated: bool) -> None:
        super().__init__(logging.WARNING)
        self.propagated = propagated
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(_message(record))


def _message(record: logging.LogRecord) -> str:
    """Return a record's message, or its parts where they do not fit together: whoever warns must not fail by it."""
    try:
        return record.getMessage()
    except Exception:
        return f"{record.msg} {record.args}"
