"""Callbacks: events and traces, under the names that LlamaIndex gave them."""

from asyncrun.callbacks.asynchronous import AsyncCallbackHandler
from asyncrun.callbacks.context import EventContext
from asyncrun.callbacks.debug import LlamaDebugHandler
from asyncrun.callbacks.handler import BaseCallbackHandler
from asyncrun.callbacks.manager import CallbackManager, current_manager
from asyncrun.callbacks.schema import BASE_TRACE_EVENT, LEAF_EVENTS, TIMESTAMP_FORMAT, CBEvent, CBEventType, EventPayload, EventStats

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
    "current_manager",
]
