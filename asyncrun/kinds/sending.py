"""Sending what is missing: batches through the engine, until all are answered or the job must stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from asyncrun.aio.pool import outcomes
from asyncrun.errors import AsyncrunError
from asyncrun.kinds.context import JobContext

T = TypeVar("T")
B = TypeVar("B")


async def send_all(
    batches: Iterable[B],
    send: Callable[[B], Awaitable[T]],
    receive: Callable[[B, T], Awaitable[AsyncrunError | None]],
    *,
    workers: int,
    context: JobContext,
) -> AsyncrunError | None:
    """Send batches, `workers` at a time, and hand each answer to `receive` as it comes.

    The batches are made lazily in a worker thread. An AsyncrunError of `send`, one that `receive` returns, or a requested stop ends the
    sending: no new batch starts, those in flight are awaited and received, since they are paid for. Any other exception is a bug: it
    cancels what is in flight and is raised. Returns the error that ended it, None when all went well or a stop was requested.
    """
    ended: AsyncrunError | None = None

    async def calls() -> AsyncIterator[Callable[[], Awaitable[tuple[B, T]]]]:
        async for batch in _in_thread(iter(batches)):
            if ended is not None or context.stopped() is not None:
                return
            yield partial(_sent, batch, send)

    async for outcome in outcomes(calls(), workers=workers, order="completed", on_error="collect"):
        if isinstance(outcome.error, AsyncrunError):
            ended = ended or outcome.error
        else:
            batch, answer = outcome.result()
            error = await receive(batch, answer)
            ended = ended or error
    return ended


async def _sent(batch: B, send: Callable[[B], Awaitable[T]]) -> tuple[B, T]:
    return batch, await send(batch)


async def _in_thread(batches: Iterator[B]) -> AsyncIterator[B]:
    """Yield what an iterator yields; it runs in a worker thread, since it reads files."""
    done = object()
    while (batch := await asyncio.to_thread(next, batches, done)) is not done:
        yield batch  # type: ignore[misc]  # `done` is the only value that is no batch
