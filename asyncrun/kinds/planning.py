"""What a run would send, counted: items, requests, tokens, cost."""

from __future__ import annotations

import numpy as np

from asyncrun.batching.pack import pack
from asyncrun.embedders.interface import Embedder
from asyncrun.kinds.distinct import DistinctSource
from asyncrun.kinds.items import Items
from asyncrun.kinds.scan import Scan, State
from asyncrun.ledger.index import KeyIndex
from asyncrun.records import JobPlan

BYTES_PER_TOKEN = 4
"""Of English prose; an estimate, marked as such where it is shown."""


def plan_items(items: Items, kind: str, scanned: Scan, index: KeyIndex) -> JobPlan:
    """Return the plan of a job whose items are its requests' texts."""
    send, times = scanned.missing(index)
    new = int(times.sum())
    requests, tokens, cost = plan_requests(scanned.sizes[send].tolist(), items.embedder)
    return JobPlan(
        name=items.context.name,
        kind=kind,
        items=len(scanned),
        new=new,
        unchanged=int(np.count_nonzero(scanned.ready)) - new,
        failed=int(np.count_nonzero(scanned.states == State.FAILED)),
        requests=requests,
        tokens=tokens,
        cost=cost,
        notes=unnamed_note(items.source),
    )


def plan_requests(sizes: list[int], embedder: Embedder) -> tuple[int, int, float | None]:
    """Return requests, estimated tokens and estimated cost of texts with these sizes in bytes."""
    limits = embedder.batch
    sized = ((size, size, size) for size in sizes)
    batches = pack(sized, max_items=limits.max_items, max_tokens=limits.max_tokens, max_bytes=limits.max_bytes)
    requests = sum(1 for _ in batches)
    tokens = sum(sizes) // BYTES_PER_TOKEN
    price = embedder.price_per_million_tokens
    return requests, tokens, None if price is None else tokens * price / 1_000_000


def unnamed_note(source: DistinctSource) -> tuple[str, ...]:
    """Return a warning about items without an id of their own, if there are any."""
    if not source.unnamed:
        return ()
    return (f"{source.unnamed:,} records have no id: their file and line stand for them, so that a line put in between renames the rest",)
