"""What is told of an attempt: its events and those of its waits, and where its seconds went apart from the request itself."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from asyncrun.aio.retry import FailureClass
from asyncrun.aio.worker_state import surroundings, waiting
from asyncrun.callbacks.event_context import EventContext, current_manager
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.clock import Clock
from asyncrun.usage import Waits

if TYPE_CHECKING:
    from asyncrun.callbacks.manager import CallbackManager


SHORTEST = 0.001
"""Seconds below which a wait is no event; it counts in the batch's sums all the same."""


def tell_attempt(number: int) -> AbstractContextManager[EventContext | None]:
    """Return what tells of an attempt from its start to its end; yields None when nobody listens."""
    manager = current_manager()
    if manager is None or not manager.handlers:
        return nullcontext()
    return manager.event(CBEventType.ATTEMPT, payload={"number": number})


def end_attempt(event: EventContext | None, waits: Waits, failed: tuple[Exception, FailureClass] | None) -> None:
    """Tell how an attempt ended; one that failed is called by what its failure means."""
    if event is None:
        return
    if failed is None:
        event.on_end(payload=waits.payload())
        return
    error, failure = failed
    # A reply's status, where the error knows one.
    status = getattr(error, "status", None)
    answered = {"http.response.status_code": status} if isinstance(status, int) else {}
    why = {EventPayload.EXCEPTION: error, "error.type": failure.value, "status": "failed", "name": failure.value}
    event.on_end(payload={**why, **answered, **waits.payload()})


def cut_attempt(event: EventContext | None, waits: Waits, error: BaseException) -> None:
    """Tell that an attempt was cut off, and where its seconds went until then."""
    if event is not None:
        event.on_end(payload={EventPayload.EXCEPTION: error, "status": "cancelled", **waits.payload()})


def tell_wait(reason: str, seconds: float) -> AbstractContextManager[Callable[[Waits], None]]:
    """Return what tells of a wait that is expected to last so long; what it yields may be told how it was spent."""
    manager = current_manager()
    if seconds < SHORTEST or manager is None or not manager.handlers:
        return _UNHEARD
    return _told_to(manager, reason)


@contextmanager
def _told_to(manager: CallbackManager, reason: str) -> Generator[Callable[[Waits], None], None, None]:
    with manager.event(CBEventType.WAIT, payload={"name": reason}) as event:
        yield lambda waits: event.on_end(payload={"name": _longest(waits) or reason, **waits.payload()})


def _unheard(_: Waits) -> None:
    """Tell nobody."""


_UNHEARD = nullcontext(_unheard)


def _longest(waits: Waits) -> str:
    seconds = waits.payload()
    return max(seconds, key=seconds.__getitem__).partition(".")[2] if seconds else ""


Part = Literal["connect", "decode"]


class AttemptTimer:
    """The parts of one attempt so far; `time_spent_on` adds to them while the block runs.

    Usage: `with AttemptTimer(clock) as timer: ... timer.waits()`
    """

    __slots__ = ("_began", "_clock", "_outer", "_parts")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._parts: dict[Part, float] = {"connect": 0.0, "decode": 0.0}
        self._outer: AttemptTimer | None = None

    def __enter__(self) -> Self:
        worker, monitor, self._outer = surroundings.get()
        surroundings.set((worker, monitor, self))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        worker, monitor, _ = surroundings.get()
        surroundings.set((worker, monitor, self._outer))

    @contextmanager
    def on(self, part: Part) -> Generator[None, None, None]:
        """Count the seconds of the block as those of a part, and say so of the worker."""
        started = self._clock.monotonic()
        try:
            with waiting(part, idle=False):
                yield
        finally:
            self._parts[part] += self._clock.monotonic() - started

    def waits(self) -> Waits:
        """Return the seconds so far; what is no part is the request."""
        seconds = self._clock.monotonic() - self._began
        return Waits(request=max(seconds - sum(self._parts.values()), 0.0), **self._parts)


@contextmanager
def time_spent_on(part: Part) -> Generator[None, None, None]:
    """Count the seconds of the block as part of the attempt that is being made; outside of one it does nothing."""
    own = surroundings.get()[2]
    if own is None:
        yield
        return
    with own.on(part):
        yield
