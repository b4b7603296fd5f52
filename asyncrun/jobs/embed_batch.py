"""Embedding through the ledger: one request's texts in, durable vectors out, told as one event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from asyncrun.aio.worker_state import waiting
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.embedders.interface import Embedder, no_vectors
from asyncrun.errors import AsyncrunError
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.forecast import expected
from asyncrun.ledger.ledger import TRUNCATED, Finished
from asyncrun.ledger.spaces import add_token_rate
from asyncrun.records import Embedded, InputType, Pending, Space
from asyncrun.usage import Usage, Waits


async def embed_batch(
    batch: Sequence[Pending],
    embedder: Embedder,
    input_type: InputType,
    context: JobContext,
    *,
    used: Callable[[Usage], object] = lambda _: None,
    keep: bool = True,
) -> Embedded:
    """Embed a batch and return when its vectors are durable, where they are to be kept. `used` is told what requests used, in every case.

    What ends it early (the embedder's error, StorageError, BudgetError before a call) is the outcome's `error`.
    What the call has used is settled after its vectors are durable: a kill in between counts the reservation. The outcome's waits hold the
    time that this took.
    """
    space = embedder.space(input_type)
    started = {
        EventPayload.MODEL_NAME: embedder.model_name,
        "provider": space.provider,
        "server.address": space.host,
        "items": len(batch),
        EventPayload.CHUNKS: [pending.text for pending in batch],
    }
    outcome = no_vectors()
    try:
        with context.manager.event(CBEventType.EMBEDDING, payload=started) as event, event.enclosing():
            async with context.reserve(lambda: expected(embedder, input_type, context.rate, batch)) as reservation:
                answer = await embedder.aembed([pending.text for pending in batch], input_type)
                reservation.used(answer.usage)
                used(answer.usage)
                answered, counted = context.clock.monotonic(), _counted(batch, answer)
                if answer.positions and keep:
                    await _keep(batch, answer, space, context, counted)
                outcome = replace(answer, waits=answer.waits + Waits(write=context.clock.monotonic() - answered))
                if answer.error is not None:
                    # The event and the reservation end as failed.
                    raise answer.error
            context.rate.add(*counted)
            event.on_end(payload=_described(outcome))
    except AsyncrunError as error:
        return replace(outcome, failures=(), error=error)
    return outcome


def _counted(batch: Sequence[Pending], answer: Embedded) -> tuple[int, int]:
    """Return the tokens that the server has counted in the texts, and their bytes; zeros where it told none, or not those of all."""
    if not answer.usage.tokens or answer.failures or answer.error is not None:
        return 0, 0
    return answer.usage.tokens - answer.comparison_tokens, sum(pending.size for pending in batch)


async def _keep(batch: Sequence[Pending], answer: Embedded, space: Space, context: JobContext, counted: tuple[int, int] = (0, 0)) -> None:
    """Return when the vectors of an answer are durable, and with them how many tokens were counted in how many bytes."""
    flags = [TRUNCATED if position in answer.truncated else 0 for position in answer.positions]
    keys = [batch[position].key for position in answer.positions]
    with waiting("store", idle=False):
        tokens, size = counted
        also = partial(add_token_rate, space=space, tokens=tokens, size=size) if size else None
        await context.ledger.put(space, Finished(keys, answer.vectors, flags), also)


def _described(answer: Embedded) -> dict[str, object]:
    usage = answer.usage
    return {
        "ok": len(answer.positions),
        **({"dimensions": answer.vectors.shape[1]} if answer.positions else {}),
        "failed": len(answer.failures),
        "tokens": usage.tokens,
        **({"response_model": answer.model} if answer.model else {}),
        **({"worker": answer.worker} if answer.worker else {}),
        "requests": usage.requests,
        "retries": usage.retries,
        **answer.waits.payload(),
    }
