"""Handlers whose calls are awaited: their base class, and the deliveries to them, in a thread for each, so that no job ever waits."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
import weakref
from abc import abstractmethod
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

from asyncrun.callbacks.base_handler import BaseCallbackHandler, describe_error
from asyncrun.callbacks.schema import CBEventType
from asyncrun.errors import StopRunError

logger = logging.getLogger(__name__)

_all_threads: weakref.WeakSet[HandlerThread] = weakref.WeakSet()

MOST_WAITING_CALLS = 10_000
"""Calls that wait for an asynchronous handler; more are left out, which is reported once."""
TIME_LIMIT = 10.0
"""Seconds that an asynchronous handler may take for one call; it is switched off after that."""


class AsyncCallbackHandler(BaseCallbackHandler):
    """Is told when events start and end by calls that are awaited, in order, in a thread and an event loop of its own.

    Args:
        event_starts_to_ignore: types whose starts the manager does not report.
        event_ends_to_ignore: types whose ends the manager does not report.
        most_waiting: calls that may wait for this handler; it is not told of more, which is reported once.
        time_limit: seconds that one call may take; a handler that takes longer, or raises, is reported once and switched off.

    What happens never waits for the handler. `await manager.aclose()` waits until it has been told of everything; so does the end
    of the program. Where it raises `StopRunError`, that error leaves the manager's next call about it, `flush` and `close` included.

    >>> from asyncrun import CallbackManager
    >>> class Starts(AsyncCallbackHandler):
    ...     async def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
    ...         print(event_type.value, "starts")
    ...     async def on_event_end(self, event_type, payload=None, event_id="", **kwargs): ...
    >>> manager = CallbackManager([Starts()])
    >>> with manager.event(CBEventType.QUERY):
    ...     pass
    >>> manager.close()
    query starts
    """

    _pickled = (*BaseCallbackHandler._pickled, "most_waiting", "time_limit")

    def __init__(
        self,
        event_starts_to_ignore: Sequence[CBEventType] = (),
        event_ends_to_ignore: Sequence[CBEventType] = (),
        *,
        most_waiting: int = MOST_WAITING_CALLS,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        super().__init__(event_starts_to_ignore, event_ends_to_ignore)
        self.most_waiting = most_waiting
        self.time_limit = time_limit

    @abstractmethod
    async def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Take the start of an event."""

    @abstractmethod
    async def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Take the end of an event."""

    async def start_trace(self, trace_id: str | None = None) -> None:
        """Take the start of the outermost trace."""

    async def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Take the end of the outermost trace."""


class HandlerThread:
    """Awaits the coroutines that a handler's methods return, one after the other.

    Args:
        name: what the handler is called in reports.
        most_waiting: calls that may wait; one that comes when they do is left out.
        time_limit: seconds for one call.

    A call that raises, or takes too long, is the last one: the handler is `off` then. One that raises StopRunError is not: see `take_stop`.
    """

    def __init__(self, name: str, most_waiting: int = MOST_WAITING_CALLS, time_limit: float = TIME_LIMIT) -> None:
        self.off = False
        self._name = name
        self._most_waiting = most_waiting
        self._time_limit = time_limit
        self._calls: deque[Coroutine[Any, Any, Any]] = deque()
        self._since: float | None = None
        self._left_out = 0
        self._stop: StopRunError | None = None
        self._guard = threading.Lock()
        self._more = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._deliver_all, name=f"asyncrun handler {name}", daemon=True)
        self._thread.start()
        _all_threads.add(self)

    def send(self, call: Coroutine[Any, Any, Any]) -> bool:
        """Have a coroutine awaited after those before it, from whichever thread; False when the handler is switched off."""
        since = self._since
        if since is not None and time.monotonic() - since > self._time_limit * 2:
            self._switch_off(f"it did not return within {self._time_limit:g} s")
        if self.off or len(self._calls) >= self._most_waiting:
            call.close()
            if not self.off and not self._left_out:
                logger.warning("callback handler %s is too slow: it is not told of everything", self._name)
            self._left_out += 1
            return not self.off
        self._append(call)
        return True

    def take_stop(self) -> StopRunError | None:
        """Return the stop that the handler has asked for, once."""
        stop, self._stop = self._stop, None
        return stop

    def flush(self, seconds: float) -> bool:
        """Wait until everything that was sent so far has been delivered; False when that takes longer than `seconds`."""
        done = threading.Event()

        async def mark() -> None:
            done.set()

        if not self.off:
            self._append(mark())
        deadline = time.monotonic() + seconds
        while not (self.off or done.is_set()):
            if not done.wait(min(0.1, max(deadline - time.monotonic(), 0.0))) and time.monotonic() >= deadline:
                return False
        return not self.off

    def close(self, seconds: float) -> None:
        """Deliver what has been sent, for `seconds` at most, and end the thread; may be called twice."""
        if not self.flush(seconds) and not self.off:
            self._switch_off(f"it was not done {seconds:g} s after the end")
        self.off = True
        self._more.release()
        self._thread.join(min(seconds, 1.0))

    def _append(self, call: Coroutine[Any, Any, Any]) -> None:
        self._calls.append(call)
        self._more.release()

    def _switch_off(self, why: str) -> None:
        with self._guard:
            if self.off:
                return
            self.off = True
        logger.warning("callback handler %s is switched off: %s", self._name, why)

    def _deliver_all(self) -> None:
        with asyncio.Runner() as runner:
            while self._more.acquire() and not self.off:
                # Together, because a turn of the loop for each costs as much as the calls themselves.
                runner.run(self._deliver())
            while self._calls:
                self._calls.popleft().close()

    async def _deliver(self) -> None:
        while self._calls and not self.off:
            call = self._calls.popleft()
            self._since = time.monotonic()
            try:
                async with asyncio.timeout(self._time_limit) as limit:
                    await call
            except StopRunError as stop:
                self._stop = self._stop or stop
            except TimeoutError as error:
                self._switch_off(
                    f"it did not return within {self._time_limit:g} s" if limit.expired() else f"it raised {describe_error(error)}"
                )
            except BaseException as error:
                self._switch_off(f"it raised {describe_error(error)}")
            self._since = None


@atexit.register
def _deliver_the_rest() -> None:
    for thread in list(_all_threads):
        if not thread.off:
            thread.close(TIME_LIMIT)
        if (stop := thread.take_stop()) is not None:
            logger.warning("a callback handler wanted to stop what had ended: %s", describe_error(stop))


class HandlerThreads:
    """The threads of a manager's asynchronous handlers, one for each, begun when it is first told of something.

    A stop that a handler has asked for is raised by the next call here, once.
    """

    def __init__(self) -> None:
        self._threads: dict[int, tuple[BaseCallbackHandler, HandlerThread]] = {}

    def send(self, handler: BaseCallbackHandler, call: Coroutine[Any, Any, Any]) -> bool:
        """Have a coroutine of this handler awaited after those before it; False when the handler is switched off."""
        if id(handler) not in self._threads:
            limits = {name: getattr(handler, name) for name in ("most_waiting", "time_limit") if hasattr(handler, name)}
            self._threads[id(handler)] = handler, HandlerThread(type(handler).__name__, **limits)
        thread = self._threads[id(handler)][1]
        on = thread.send(call)
        _raise_stop(thread)
        return on

    def flush(self, seconds: float) -> bool:
        """Wait until all that was sent so far has been delivered; False when that takes longer than `seconds`."""
        threads = [thread for _, thread in list(self._threads.values())]
        delivered = all(thread.flush(seconds) for thread in threads)
        _raise_stop(*threads)
        return delivered

    def close(self, seconds: float) -> None:
        """Deliver what has been sent, for `seconds` each at most, and end the threads."""
        closed = []
        while self._threads:
            closed.append(self._threads.popitem()[1][1])
            closed[-1].close(seconds)
        _raise_stop(*closed)


def _raise_stop(*threads: HandlerThread) -> None:
    stops = [stop for thread in threads if (stop := thread.take_stop()) is not None]
    if stops:
        try:
            raise stops[0]
        finally:
            stops.clear()  # its traceback holds this frame
