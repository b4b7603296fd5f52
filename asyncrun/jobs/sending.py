"""Sending what is missing: texts in batches through the engine, until all are answered or the job must stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial

from asyncrun.aio.pool import outcomes
from asyncrun.batching.pack import pack
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import AsyncrunError, BudgetError
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.disk_space import Room
from asyncrun.jobs.embed_batch import embed_batch
from asyncrun.jobs.estimate import load_of
from asyncrun.jobs.job_counters import Tally
from asyncrun.jobs.pending import Pending
from asyncrun.jobs.stop_timeout import patience
from asyncrun.records import Embedded, InputType, Usage, answered_before

Batch = Sequence[Pending]
Receive = Callable[[Batch, Embedded], AsyncrunError | None]
"""Takes the answer to a batch, whose vectors are durable, and may return an error that ends the sending."""


async def send_all(
    pending: Iterable[Pending],
    receive: Receive,
    *,
    embedder: Embedder,
    input_type: InputType,
    context: JobContext,
    used: Callable[[Usage], object],
    tally: Tally | None = None,
    keep: bool = True,
    room: Room | None = None,
) -> AsyncrunError | None:
    """Embed texts in batches, as many at a time as the job's workers, and hand each answer to `receive` as it comes.

    `used` is told what requests used, also those of a batch that ends with an error, `tally` when a call begins and ends. Without
    `keep` the vectors go to `receive` alone. `room` ends the sending when after the first answer not all fits.
    `pending` is read lazily in a thread. An AsyncrunError of embedder or ledger, one that `receive` returns, or a stop ends the sending: no
    new batch starts, those in flight are awaited and received, as is what was answered before: it is paid for. Any other exception is
    a bug: it cancels what is in flight and is raised. Returns the error that ended it, or None.
    """
    ended: AsyncrunError | None = None
    batches = pack(((text, text.size) for text in pending), embedder.batch, lambda: embedder.tokens_per_byte)

    def take(batch: Batch, answered: Embedded) -> None:
        nonlocal ended
        error = receive(batch, answered) or (room.error if room is not None else None)
        ended = ended or error

    async def embed(batch: Batch) -> tuple[Batch, Embedded]:
        try:
            call = embed_batch(batch, embedder, input_type, context, used=used, keep=keep)
            return batch, await _told(_fitted(call, room), batch, embedder, tally)
        except BudgetError:
            if len(batch) == 1:
                raise
        except AsyncrunError as error:
            if (before := answered_before(error)) is not None:
                take(batch, before)
            raise
        # What is left of a budget pays for a part of the batch.
        take(*await embed(batch[: len(batch) // 2]))
        return await embed(batch[len(batch) // 2 :])

    async def calls() -> AsyncIterator[Callable[[], Awaitable[tuple[Batch, Embedded]]]]:
        nonlocal ended
        while ended is None and (batch := await asyncio.to_thread(next, batches, None)) is not None:
            if (ended := ended or context.stopped()) is None:
                yield partial(embed, batch)

    answers = outcomes(calls(), workers=context.workers or embedder.workers, order="completed", on_error="collect")
    try:
        async with patience(context), answers as answered:
            async for outcome in answered:
                if isinstance(outcome.error, AsyncrunError):
                    ended = ended or outcome.error
                else:
                    take(*outcome.result())
    except TimeoutError:
        ended = ended or context.stopped()
    return ended


async def _told(answer: Awaitable[Embedded], batch: Batch, embedder: Embedder, tally: Tally | None) -> Embedded:
    """Return an answer, and tell of the call."""
    if tally is None:
        return await answer
    load, waits = load_of([pending.size for pending in batch], embedder), None
    tally.sending(load)
    try:
        answered = await answer
        waits = answered.waits
        return answered
    finally:
        tally.received(load, waits)


async def _fitted(answer: Awaitable[Embedded], room: Room | None) -> Embedded:
    """Return an answer once it is known whether there is room for the others."""
    answered = await answer
    if room is not None:
        await room.look()
    return answered
