"""asyncrun: embed, ingest and query text in bulk; an asynchronous job engine with LlamaIndex's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.aio.bridge import asyncio_run
    from asyncrun.aio.jobs import batch_gather, chunks, run_async_tasks, run_jobs
    from asyncrun.aio.pool import Outcome, outcomes
    from asyncrun.callbacks.debug import LlamaDebugHandler
    from asyncrun.callbacks.event_context import EventContext
    from asyncrun.callbacks.handler import BaseCallbackHandler
    from asyncrun.callbacks.manager import CallbackManager
    from asyncrun.callbacks.schema import CBEvent, CBEventType, EventPayload, EventStats
    from asyncrun.errors import StopRunError

__version__ = "0.1.0"

_HOMES = {
    "BaseCallbackHandler": "callbacks.handler",
    "CBEvent": "callbacks.schema",
    "CBEventType": "callbacks.schema",
    "CallbackManager": "callbacks.manager",
    "EventContext": "callbacks.event_context",
    "EventPayload": "callbacks.schema",
    "EventStats": "callbacks.schema",
    "LlamaDebugHandler": "callbacks.debug",
    "Outcome": "aio.pool",
    "StopRunError": "errors",
    "asyncio_run": "aio.bridge",
    "batch_gather": "aio.jobs",
    "chunks": "aio.jobs",
    "outcomes": "aio.pool",
    "run_async_tasks": "aio.jobs",
    "run_jobs": "aio.jobs",
}

__all__ = [
    "BaseCallbackHandler",
    "CBEvent",
    "CBEventType",
    "CallbackManager",
    "EventContext",
    "EventPayload",
    "EventStats",
    "LlamaDebugHandler",
    "Outcome",
    "StopRunError",
    "asyncio_run",
    "batch_gather",
    "chunks",
    "outcomes",
    "run_async_tasks",
    "run_jobs",
]

__getattr__ = load_on_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
