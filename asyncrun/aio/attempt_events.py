"""Attempts and waits as events: children of the batch that they belong to, told to the manager that it is told to."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from asyncrun.aio.retry import FailureClass
from asyncrun.callbacks.event_context import EventContext, current_manager
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.records import Waits

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
        event.on_end(payload=waits.told())
        return
    error, failure = failed
    # A reply's status, where the error knows one.
    status = getattr(error, "status", None)
    answered = {"http.response.status_code": status} if isinstance(status, int) else {}
    why = {EventPayload.EXCEPTION: error, "error.type": failure.value, "status": "failed", "name": failure.value}
    event.on_end(payload={**why, **answered, **waits.told()})


def cut_attempt(event: EventContext | None, waits: Waits, error: BaseException) -> None:
    """Tell that an attempt was cut off, and where its seconds went until then."""
    if event is not None:
        event.on_end(payload={EventPayload.EXCEPTION: error, "status": "cancelled", **waits.told()})


def tell_wait(reason: str, seconds: float) -> AbstractContextManager[Callable[[Waits], None]]:
    """Return what tells of a wait that is expected to last so long; what it yields may be told how it was spent."""
    manager = current_manager()
    if seconds < SHORTEST or manager is None or not manager.handlers:
        return _UNHEARD
    return _told_to(manager, reason)


@contextmanager
def _told_to(manager: CallbackManager, reason: str) -> Generator[Callable[[Waits], None], None, None]:
    with manager.event(CBEventType.WAIT, payload={"name": reason}) as event:
        yield lambda waits: event.on_end(payload={"name": _longest(waits) or reason, **waits.told()})


def _unheard(_: Waits) -> None:
    """Tell nobody."""


_UNHEARD = nullcontext(_unheard)


def _longest(waits: Waits) -> str:
    told = waits.told()
    return max(told, key=told.__getitem__).partition(".")[2] if told else ""
