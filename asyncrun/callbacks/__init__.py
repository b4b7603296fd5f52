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

# Imported on use: who reads a trace needs the types of events, and none of what makes them.
__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "async_handler": ["AsyncCallbackHandler"],
        "base": ["CallbackManager", "StopRunError", "current_manager"],
        "base_handler": ["BaseCallbackHandler"],
        "event_context": ["EventContext"],
        "llama_debug": ["LlamaDebugHandler"],
        "pythonically_printing_base_handler": ["PythonicallyPrintingBaseHandler"],
        "schema": ["BASE_TRACE_EVENT", "LEAF_EVENTS", "TIMESTAMP_FORMAT", "CBEvent", "CBEventType", "EventPayload", "EventStats"],
        "token_counting": ["TokenBudgetError", "TokenCountingEvent", "TokenCountingHandler"],
        "utils": ["trace_method"],
    },
)
