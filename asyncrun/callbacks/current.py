"""Which manager the running code is inside of."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncrun.callbacks.manager import CallbackManager

# A context variable, so that every task and every thread has its own.
_manager: ContextVar[CallbackManager | None] = ContextVar("asyncrun_manager", default=None)


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
