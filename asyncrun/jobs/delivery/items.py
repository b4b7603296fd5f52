"""The items of a job, and the chunks of documents, delivered in batches before the ordinary way sends what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.embedders.interface import BatchEmbedder, Embedder
from asyncrun.errors import UsageError
from asyncrun.jobs.delivery.engine import deliver
from asyncrun.jobs.delivery.texts import TextWork
from asyncrun.jobs.items import Items
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.scan import Scan
from asyncrun.jobs.unfinished_texts import UnfinishedTexts
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.records import EmbedFailure, InputType, Pending

if TYPE_CHECKING:
    from numpy.typing import NDArray


async def deliver_items(
    items: Items,
    *,
    scanned: Scan,
    texts: UnfinishedTexts,
    send: NDArray[np.bool_],
    times: NDArray[np.int64],
    failures: dict[int, EmbedFailure],
    counters: JobCounters,
) -> NDArray[np.bool_]:
    """Deliver items, given as a mask; returns which of them the ordinary way is still to send.

    What is done is counted, `times[i]` for the item i; what has failed by itself is added to `failures` by its ordinal.
    """
    ordinals, left = np.flatnonzero(send), send.copy()
    places = KeyIndex(scanned.keys[ordinals], ordinals.astype(np.int64))

    def places_of(keys: bytes) -> NDArray[np.int64]:
        positions = places.find(keys_array(keys))
        return places.locate(positions[positions >= 0])[0]

    def done(keys: Sequence[bytes]) -> None:
        ended = places_of(b"".join(keys))
        left[ended] = False
        counters.add(ok=int(times[ended].sum()))

    failed: dict[bytes, EmbedFailure] = {}
    try:
        await deliver_texts(items.embedder, items.input_type, counters, lambda: texts.pending(left), failed, done=done)
    finally:
        for key, failure in failed.items():
            ended = places_of(key)
            left[ended] = False
            failures.update(dict.fromkeys(ended.tolist(), failure))
    return left


async def deliver_texts(
    embedder: Embedder,
    input_type: InputType,
    counters: JobCounters,
    unfinished: Callable[[], Iterable[Pending]],
    failed: dict[bytes, EmbedFailure],
    *,
    done: Callable[[Sequence[bytes]], object] = lambda keys: None,
) -> None:
    """Deliver texts in batches; the arguments are those of `TextWork`. Raises as `deliver` does, and UsageError."""
    context = counters.context
    delivery = context.deliveries.get("embeddings")
    if delivery is None or not isinstance(embedder, BatchEmbedder):
        raise UsageError(f"the embedder {embedder.provider} has no batches", hint="Use `delivery: online`.")
    work = TextWork(embedder, input_type, context, unfinished, failed, done)
    await deliver(work, await asyncio.to_thread(delivery), counters)
