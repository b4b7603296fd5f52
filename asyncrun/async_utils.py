"""LlamaIndex's module of this name, with our functions: `llama_index.core.async_utils` becomes `asyncrun.async_utils` in an import."""

from asyncrun.aio.bridge import asyncio_run
from asyncrun.aio.jobs import DEFAULT_NUM_WORKERS, batch_gather, chunks, run_async_tasks, run_jobs

__all__ = ["DEFAULT_NUM_WORKERS", "asyncio_run", "batch_gather", "chunks", "run_async_tasks", "run_jobs"]
