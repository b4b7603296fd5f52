"""Failed items are kept: those of the scan and those of the answers, with all that have the same text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace

from asyncrun.kinds.items import Items
from asyncrun.kinds.scan import NO_KEY, Scan
from asyncrun.kinds.tally import Tally
from asyncrun.ledger.ledger import KnownFailure
from asyncrun.records import EmbedFailure, ItemFailure


async def keep_failures(items: Items, scanned: Scan, failures: Mapping[int, EmbedFailure], tally: Tally) -> None:
    """Store and count the failures of the scan and of the answers, which are given by the item's ordinal."""
    context = items.context
    by_key = {scanned.key(ordinal): failure for ordinal, failure in failures.items()}
    known = list(scanned.failures)
    if by_key:
        known += await asyncio.to_thread(lambda: list(_failed(items, scanned, by_key)))
    for each in known:
        tally.fail(each.failure)
    if tally.counts.ok == tally.counts.cached:
        # Nothing has been accepted yet: these refusals may be the endpoint's fault, so the next run asks again.
        known = [*scanned.failures, *(replace(each, key=NO_KEY) for each in known[len(scanned.failures) :])]
    if context.limit is not None:
        known += await asyncio.to_thread(_beyond_limit, items)
    await context.keep_failures(known)


def _beyond_limit(items: Items) -> list[KnownFailure]:
    """Return the failures of an earlier run whose items this one does not see."""
    seen = {item.id for item in items.source.items()}
    return [known for name, known in items.context.ledger.failures(items.context.failures).items() if name not in seen]


def _failed(items: Items, scanned: Scan, by_key: Mapping[bytes, EmbedFailure]) -> Iterator[KnownFailure]:
    space = items.space.fingerprint
    for block in items.blocks(scanned):
        for ordinal, item in block:
            failure = by_key.get(scanned.key(ordinal))
            if failure is not None:
                told = ItemFailure(item.id, item.place, failure.reason, failure.message, failure.attempts)
                yield KnownFailure(told, space, scanned.key(ordinal))
