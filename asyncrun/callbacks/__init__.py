"""Callbacks: events and traces, under the names that LlamaIndex gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.callbacks.async_handler import AsyncCallbackHandler
    from asyncrun.callbacks.debug import LlamaDebugHandler
    from asyncrun.callbacks.event_context import EventContext, trace_method
    from asyncrun.callbacks.handler import BaseCallbackHandler
    from asyncrun.callbacks.manager import CallbackManager, current_manager
    from asyncrun.callbacks.schema import BASE_TRACE_EVENT, LEAF_EVENTS, TIMESTAMP_FORMAT, CBEvent, CBEventType, EventPayload, EventStats
    from asyncrun.callbacks.token_counting import PythonicallyPrintingBaseHandler, TokenCountingEvent, TokenCountingHandler
    from asyncrun.errors import StopRunError, TokenBudgetError

__all__ = [
    "BASE_TRACE_EVENT",
    "LEAF_EVENTS",
    "TIMESTAMP_FORMAT",
    "AsyncCallbackHandler",
    "BaseCallbackHandler",
    "CBEvent",
    "CBEventType",
    "CallbackManager",
    "EventContext",
    "EventPayload",
    "EventStats",
    "LlamaDebugHandler",
    "PythonicallyPrintingBaseHandler",
    "StopRunError",
    "TokenBudgetError",
    "TokenCountingEvent",
    "TokenCountingHandler",
    "current_manager",
    "trace_method",
]

_HOMES = {
    "BASE_TRACE_EVENT": "schema",
    "LEAF_EVENTS": "schema",
    "TIMESTAMP_FORMAT": "schema",
    "AsyncCallbackHandler": "async_handler",
    "BaseCallbackHandler": "handler",
    "CBEvent": "schema",
    "CBEventType": "schema",
    "CallbackManager": "manager",
    "EventContext": "event_context",
    "EventPayload": "schema",
    "EventStats": "schema",
    "LlamaDebugHandler": "debug",
    "PythonicallyPrintingBaseHandler": "token_counting",
    "StopRunError": "manager",
    "TokenBudgetError": "token_counting",
    "TokenCountingEvent": "token_counting",
    "TokenCountingHandler": "token_counting",
    "current_manager": "manager",
    "trace_method": "event_context",
}

# Imported on use: who reads a trace needs the types of events, and none of what makes them.
__getattr__ = load_on_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
