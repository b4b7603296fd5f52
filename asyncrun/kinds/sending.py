"""Sending what is missing: texts in batches through the engine, until all are answered or the job must stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial

from asyncrun.aio.pool import outcomes
from asyncrun.batching.pack import pack
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import AsyncrunError
from asyncrun.kinds.context import JobContext
from asyncrun.kinds.ledgered import Pending, embed_batch
from asyncrun.records import Embedded, InputType

Batch = Sequence[Pending]
Receive = Callable[[Batch, Embedded], AsyncrunError | None]
"""Takes the answer to a batch, whose vectors are durable, and may return an error that ends the sending."""


async def send_all(
    pending: Iterable[Pending], receive: Receive, *, embedder: Embedder, input_type: InputType, context: JobContext
) -> AsyncrunError | None:
    """Embed texts in batches, as many at a time as the job's workers, and hand each answer to `receive` as it comes.

    `pending` is read lazily in a worker thread. An AsyncrunError of the embedder or the ledger, one that `receive` returns, or a stop ends
    the sending: no new batch starts, those in flight are awaited and received, since they are paid for. Any other exception is a bug: it
    cancels what is in flight and is raised. Returns the error that ended it, None when everything was answered.
    """
    ended: AsyncrunError | None = None
    batches = pack(((text, text.size) for text in pending), embedder.batch, lambda: embedder.tokens_per_byte)

    async def embed(batch: Batch) -> tuple[Batch, Embedded]:
        return batch, await embed_batch(batch, embedder, input_type, context)

    async def calls() -> AsyncIterator[Callable[[], Awaitable[tuple[Batch, Embedded]]]]:
        nonlocal ended
        while ended is None and (batch := await asyncio.to_thread(next, batches, None)) is not None:
            ended = ended or context.stopped()
            if ended is None:
                yield partial(embed, batch)

    workers = context.workers or embedder.workers
    try:
        # A request may wait for a rate limit for minutes: past the deadline it has the grace of a stopped run.
        async with (
            asyncio.timeout(context.seconds_left()),
            outcomes(calls(), workers=workers, order="completed", on_error="collect") as answered,
        ):
            async for outcome in answered:
                if isinstance(outcome.error, AsyncrunError):
                    ended = ended or outcome.error
                else:
                    error = receive(*outcome.result())
                    ended = ended or error
    except TimeoutError:
        ended = ended or context.stopped()
    return ended
