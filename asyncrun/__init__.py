"""asyncrun: embed, ingest and query text in bulk; an asynchronous job engine with LlamaIndex's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.aio.bridge import asyncio_run
    from asyncrun.aio.jobs import batch_gather, chunks, run_async_tasks, run_jobs
    from asyncrun.aio.pool import Outcome, outcomes
    from asyncrun.app.embed_texts import Embeddings, aembed_many, embed
    from asyncrun.app.library import arun, run
    from asyncrun.app.report import Report
    from asyncrun.app.store import Store
    from asyncrun.callbacks.base import CallbackManager
    from asyncrun.callbacks.base_handler import BaseCallbackHandler
    from asyncrun.callbacks.event_context import EventContext
    from asyncrun.callbacks.llama_debug import LlamaDebugHandler
    from asyncrun.callbacks.schema import CBEvent, CBEventType, EventPayload, EventStats
    from asyncrun.errors import StopRunError
    from asyncrun.jobs.run_options import RunOptions

__version__ = "0.1.0"

__all__ = [
    "BaseCallbackHandler",
    "CBEvent",
    "CBEventType",
    "CallbackManager",
    "Embeddings",
    "EventContext",
    "EventPayload",
    "EventStats",
    "LlamaDebugHandler",
    "Outcome",
    "Report",
    "RunOptions",
    "StopRunError",
    "Store",
    "aembed_many",
    "arun",
    "asyncio_run",
    "batch_gather",
    "chunks",
    "embed",
    "outcomes",
    "run",
    "run_async_tasks",
    "run_jobs",
]

__getattr__, _ = load_on_use(
    __name__,
    {
        "aio.bridge": ["asyncio_run"],
        "aio.jobs": ["batch_gather", "chunks", "run_async_tasks", "run_jobs"],
        "aio.pool": ["Outcome", "outcomes"],
        "app.embed_texts": ["Embeddings", "aembed_many", "embed"],
        "app.library": ["arun", "run"],
        "app.report": ["Report"],
        "app.store": ["Store"],
        "callbacks.base": ["CallbackManager"],
        "callbacks.base_handler": ["BaseCallbackHandler"],
        "callbacks.event_context": ["EventContext"],
        "callbacks.llama_debug": ["LlamaDebugHandler"],
        "callbacks.schema": ["CBEvent", "CBEventType", "EventPayload", "EventStats"],
        "errors": ["StopRunError"],
        "jobs.run_options": ["RunOptions"],
    },
)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
