"""Which manager and which events the running code is inside of."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from asyncrun.callbacks.schema import BASE_TRACE_EVENT

if TYPE_CHECKING:
    from asyncrun.callbacks.jobs import JobNotes
    from asyncrun.callbacks.manager import CallbackManager

    OpenEvent = str | tuple[JobNotes, int]
    """An event's id, or where the id of a job is made, if ever it is asked for."""

# A context variable, so that every task and every thread has its own.
_manager: ContextVar[CallbackManager | None] = ContextVar("asyncrun_manager", default=None)
open_events: ContextVar[tuple[OpenEvent, ...]] = ContextVar("asyncrun_stack", default=(BASE_TRACE_EVENT,))
"""The events that the running code is inside of, the innermost last; immutable, so a task cannot change its parent's."""


def current_manager() -> CallbackManager | None:
    """Return the manager of the enclosing `event()` or `as_trace()`, or None outside of both.

    >>> current_manager() is None
    True
    """
    return _manager.get()


def enter_manager(manager: CallbackManager | None) -> CallbackManager | None:
    """Make `manager` the current one, and return the one before it, to be put back."""
    # Put back by value: a token would refuse when an asynchronous generator is closed in another context.
    before = _manager.get()
    _manager.set(manager)
    return before
