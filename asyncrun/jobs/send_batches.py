"""Texts are sent in batches, many at a time, until all are answered or the job must stop; and how long it waits for those in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from asyncrun.aio.pool import outcomes
from asyncrun.aio.worker_state import WorkerMonitor, monitor_workers
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import AsyncrunError, BudgetError, StopRunError
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.disk_space import DiskCheck
from asyncrun.jobs.embed_batch import embed_batch
from asyncrun.jobs.forecast import load_of
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.packing import pack
from asyncrun.records import Embedded, InputType, Pending

Batch = Sequence[Pending]
Receive = Callable[[Batch, Embedded], AsyncrunError | None]
"""Takes the answer to a batch, whose vectors are durable, and may return an error that ends the sending."""
LOOK_EVERY = 0.05
"""Seconds between two looks at what is in flight, after the job was asked to stop."""


async def send_all(
    pending: Iterable[Pending],
    receive: Receive,
    *,
    embedder: Embedder,
    input_type: InputType,
    counters: JobCounters,
    keep: bool = True,
    disk_check: DiskCheck | None = None,
) -> AsyncrunError | None:
    """Embed texts in batches, as many at a time as the job's workers. Returns the error that ended it early, or None.

    An error of embedder or ledger, one that `receive` returns, or a stop of the job ends it: no new batch starts, those in flight are
    awaited and received, since they are paid for. Any other exception is a bug: it cancels what is in flight and is raised.

    Args:
        pending: the texts; read lazily in a thread.
        receive: gets each answer as it comes.
        embedder: embeds them.
        input_type: what they are embedded as.
        counters: those of the job; they are told when a call begins and ends, and what requests used, also those that end with an error.
        keep: whether vectors go into the ledger; otherwise `receive` alone gets them.
        disk_check: looks after the first answer whether all will fit, and ends the sending if not.
    """
    context = counters.context
    sender = _BatchSender(receive, embedder, input_type, counters, keep, disk_check)
    answers = outcomes(sender.calls(pending), workers=context.workers or embedder.workers, order="completed", on_error="collect")
    try:
        async with stop_timeout(context), answers as answered:
            async for outcome in answered:
                sender.take(*outcome.result())
    except TimeoutError:
        return sender.ended or context.stopped()
    return sender.ended


@dataclass(slots=True, eq=False)
class _BatchSender:
    """Sends batches; `ended` is the error that ends it. The other fields are those of `send_all`."""

    receive: Receive
    embedder: Embedder
    input_type: InputType
    counters: JobCounters
    keep: bool
    disk_check: DiskCheck | None
    ended: AsyncrunError | None = None

    async def calls(self, pending: Iterable[Pending]) -> AsyncIterator[Awaitable[tuple[Batch, Embedded]]]:
        """Yield a call for each batch, as long as nothing ends the sending."""
        batches = pack(((text, text.size) for text in pending), self.embedder.batch, lambda: self.embedder.tokens_per_byte)
        while self.ended is None and (batch := await asyncio.to_thread(next, batches, None)) is not None:
            self.ended = self.ended or self.counters.context.stopped()
            if self.ended is None:
                yield self.embed(batch)

    async def embed(self, batch: Batch) -> tuple[Batch, Embedded]:
        """Embed a batch, or what is left of it after a part was paid with the rest of a budget. Raises StopRunError."""
        load, waits = load_of([each.size for each in batch], self.embedder), None
        self.counters.progress.sending(self.counters.name, load)
        try:
            context, used = self.counters.context, self.counters.use
            outcome = await embed_batch(batch, self.embedder, self.input_type, context, used=used, keep=self.keep)
            if outcome.error is None:
                waits = outcome.waits
                if self.disk_check is not None:
                    await self.disk_check.look()
        finally:
            self.counters.progress.received(self.counters.name, load, waits)
        if isinstance(outcome.error, StopRunError):
            self.take(batch, outcome)
            raise outcome.error
        if not isinstance(outcome.error, BudgetError) or len(batch) == 1:
            return batch, outcome
        # What is left of a budget pays for a part of the batch.
        first, outcome = await self.embed(batch[: len(batch) // 2])
        if outcome.error is not None:
            return first, outcome
        self.take(first, outcome)
        return await self.embed(batch[len(batch) // 2 :])

    def take(self, batch: Batch, outcome: Embedded) -> None:
        """Hand on what was answered: it is paid for, also before an error."""
        if outcome.positions or outcome.error is None:
            error = self.receive(batch, outcome) or (self.disk_check.error if self.disk_check is not None else None)
            self.ended = self.ended or error
        self.ended = self.ended or outcome.error


@asynccontextmanager
async def stop_timeout(context: JobContext) -> AsyncIterator[None]:
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
