"""The asynchronous engine: bridge, pool, limits, retry, signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.aio.attempts import with_retries
    from asyncrun.aio.bridge import asyncio_run
    from asyncrun.aio.jobs import batch_gather, chunks, run_async_tasks, run_jobs
    from asyncrun.aio.limiter import Limiter
    from asyncrun.aio.limits import Limits
    from asyncrun.aio.pool import Outcome, outcomes
    from asyncrun.aio.retry import FailureClass, RetryPolicy

__all__ = [
    "FailureClass",
    "Limiter",
    "Limits",
    "Outcome",
    "RetryPolicy",
    "asyncio_run",
    "batch_gather",
    "chunks",
    "outcomes",
    "run_async_tasks",
    "run_jobs",
    "with_retries",
]

__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "attempts": ["with_retries"],
        "bridge": ["asyncio_run"],
        "jobs": ["batch_gather", "chunks", "run_async_tasks", "run_jobs"],
        "limiter": ["Limiter"],
        "limits": ["Limits"],
        "pool": ["Outcome", "outcomes"],
        "retry": ["FailureClass", "RetryPolicy"],
    },
)
