"""Embedding through the ledger: one request's texts in, durable vectors out, told as one event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from asyncrun.aio.slot import waiting
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.embedders.interface import Embedder
from asyncrun.kinds.context import JobContext
from asyncrun.ledger.ledger import TRUNCATED, Finished
from asyncrun.records import Embedded, InputType, Waits


@dataclass(frozen=True, slots=True)
class Pending:
    """A text that must be sent.

    `key` is its content key, `size` its UTF-8 bytes, `ordinal` the place of its item in the input, -1 for a text that is no item.
    """

    key: bytes
    text: str
    size: int
    ordinal: int = -1


async def embed_batch(batch: Sequence[Pending], embedder: Embedder, input_type: InputType, context: JobContext) -> Embedded:
    """Embed a batch and return when its vectors are durable. Raises what the embedder raises, and StorageError."""
    space = embedder.space(input_type)
    started = {
        EventPayload.MODEL_NAME: embedder.model_name,
        "provider": space.provider,
        "server.address": space.host,
        "items": len(batch),
    }
    with context.manager.event(CBEventType.EMBEDDING, payload=started) as event:
        answer = await embedder.aembed([pending.text for pending in batch], input_type)
        before = context.clock.monotonic()
        if answer.positions:
            flags = [TRUNCATED if position in answer.truncated else 0 for position in answer.positions]
            keys = [batch[position].key for position in answer.positions]
            with waiting("store", idle=False):
                await context.ledger.put(space, Finished(keys, answer.vectors, flags))
        event.on_end(payload=_described(answer, context.clock.monotonic() - before))
    return answer


def _described(answer: Embedded, writing: float) -> dict[str, object]:
    spent = answer.waits + Waits(write=writing)
    waits = {f"waits.{item.name}": getattr(spent, item.name) for item in fields(spent)}
    usage = answer.usage
    return {
        "ok": len(answer.positions),
        **({"dimensions": answer.vectors.shape[1]} if answer.positions else {}),
        "failed": len(answer.failures),
        "tokens": usage.tokens,
        "requests": usage.requests,
        "retries": usage.retries,
        **waits,
    }
