"""Which manager, which events and which traces the running code is inside of."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncrun.callbacks.schema import BASE_TRACE_EVENT

if TYPE_CHECKING:
    from asyncrun.callbacks.job_events import JobNotes
    from asyncrun.callbacks.manager import CallbackManager

    OpenEvent = str | tuple[JobNotes, int]
    """An event's id, or where the id of a job is made, if ever it is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """An open trace: traces of one manager that are nested share the outermost one's map."""

    manager: CallbackManager
    trace_map: dict[str, list[str]]
    outer_stack: tuple[OpenEvent, ...]


# Context variables, so that every task and every thread has its own; their values are immutable, so a task cannot change its parent's.
_manager: ContextVar[CallbackManager | None] = ContextVar("asyncrun_manager", default=None)
open_events: ContextVar[tuple[OpenEvent, ...]] = ContextVar("asyncrun_stack", default=(BASE_TRACE_EVENT,))
"""The events that the running code is inside of, the innermost last."""
open_traces: ContextVar[tuple[Trace, ...]] = ContextVar("asyncrun_traces", default=())
"""The traces that the running code is inside of, the innermost last."""


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


def trace_of(manager: CallbackManager) -> Trace | None:
    """Return the innermost open trace of a manager, None outside of all."""
    return next((trace for trace in reversed(open_traces.get()) if trace.manager is manager), None)
