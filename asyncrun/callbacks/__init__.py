"""Callbacks: events and traces, under the names that LlamaIndex gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.callbacks.async_handler import AsyncCallbackHandler
    from asyncrun.callbacks.base import CallbackManager, current_manager
    from asyncrun.callbacks.base_handler import BaseCallbackHandler
    from asyncrun.callbacks.event_context import EventContext
    from asyncrun.callbacks.llama_debug import LlamaDebugHandler
    from asyncrun.callbacks.pythonically_printing_base_handler import PythonicallyPrintingBaseHandler
    from asyncrun.callbacks.schema import BASE_TRACE_EVENT, LEAF_EVENTS, TIMESTAMP_FORMAT, CBEvent, CBEventType, EventPayload, EventStats
    from asyncrun.callbacks.token_counting import TokenCountingEvent, TokenCountingHandler
    from asyncrun.callbacks.utils import trace_method
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
    "BaseCallbackHandler": "base_handler",
    "CBEvent": "schema",
    "CBEventType": "schema",
    "CallbackManager": "base",
    "EventContext": "event_context",
    "EventPayload": "schema",
    "EventStats": "schema",
    "LlamaDebugHandler": "llama_debug",
    "PythonicallyPrintingBaseHandler": "pythonically_printing_base_handler",
    "StopRunError": "base",
    "TokenBudgetError": "token_counting",
    "TokenCountingEvent": "token_counting",
    "TokenCountingHandler": "token_counting",
    "current_manager": "base",
    "trace_method": "utils",
}

# Imported on use: who reads a trace needs the types of events, and none of what makes them.
__getattr__ = load_on_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
