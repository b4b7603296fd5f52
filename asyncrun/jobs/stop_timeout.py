"""How long a job waits for what it has begun: until its deadline and the grace; once it is to stop, only while a request is in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncrun.aio.worker_state import WorkerMonitor, monitor_workers
from asyncrun.jobs.context import JobContext

LOOK_EVERY = 0.05
"""Seconds between two looks at what is in flight, after the job was asked to stop."""


@asynccontextmanager
async def patience(context: JobContext) -> AsyncIterator[None]:
    """Run pools inside of the block. Raises TimeoutError when its jobs are not to be waited for any longer; then they are cancelled.

    To wait for a rate limit, the end of a throttle or another attempt is not to be in flight: nothing is lost when that ends at once.
    """
    with monitor_workers() as seen:
        async with asyncio.timeout(context.seconds_left()) as limit:
            watching = asyncio.create_task(_cut_short(context, seen, limit))
            try:
                yield
            finally:
                watching.cancel()
                await asyncio.wait([watching])


async def _cut_short(context: JobContext, seen: WorkerMonitor, limit: asyncio.Timeout) -> None:
    await context.stop.wait()
    while any(not worker.idle for worker in seen.busy()):
        await context.clock.sleep(LOOK_EVERY)
    limit.reschedule(asyncio.get_running_loop().time())
