"""A method whose calls are traces, told to the manager of its object."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from asyncrun.callbacks.event_context import around_calls

if TYPE_CHECKING:
    from asyncrun.callbacks.base import CallbackManager

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


def trace_method(trace_id: str, callback_manager_attr: str = "callback_manager") -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that opens a trace around each call of a method, or of a coroutine method until it has returned.

    Args:
        trace_id: the name of the trace.
        callback_manager_attr: the attribute of the object that holds its manager; without it the method runs untraced, which is logged.

    >>> from asyncrun.callbacks import CallbackManager, current_manager
    >>> class Index:
    ...     callback_manager = CallbackManager()
    ...
    ...     @trace_method("search")
    ...     def search(self, query):
    ...         return current_manager() is self.callback_manager
    >>> Index().search("why?")
    True
    """

    def traced(owner: object, *_: object) -> AbstractContextManager[None]:
        manager: CallbackManager | None = getattr(owner, callback_manager_attr, None)
        if manager is None:
            logger.warning("Could not find attribute %s on %s.", callback_manager_attr, type(owner))
            return nullcontext()
        return manager.as_trace(trace_id)

    return lambda function: around_calls(function, traced)
