"""Failed items are kept: those of the scan and those of the answers, with all that have the same text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from asyncrun.jobs.items import Items
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.scan import Scan
from asyncrun.jobs.spool import OpenText
from asyncrun.ledger.job_records import KnownFailure, known_failures
from asyncrun.records import EmbedFailure, ItemFailure, Space


async def keep_failures(
    items: Items, scanned: Scan, texts: Iterable[OpenText], failures: Mapping[int, EmbedFailure], counters: JobCounters
) -> None:
    """Store and count the failures of the scan and of the answers to texts, which are given by the item's ordinal."""
    context = items.context
    by_key = {scanned.key(ordinal): failure for ordinal, failure in failures.items()}
    known = list(scanned.failures)
    if by_key:
        new = await asyncio.to_thread(lambda: list(_failed(items.space, texts, by_key)))
        if in_doubt(counters):
            before = await asyncio.to_thread(known_failures, context.ledger, context.failures)
            new = [doubted(each, before.get(each.failure.id), counters) for each in new]
        known += new
    for each in known:
        counters.fail(each.failure)
    if context.options.limit is not None:
        known += await asyncio.to_thread(_beyond_limit, items)
    await context.keep_failures(known)


def in_doubt(counters: JobCounters) -> bool:
    """Tell whether refusals may be the endpoint's fault: it has accepted nothing in this run."""
    return counters.counts.ok == counters.counts.cached


def doubted(known: KnownFailure, before: KnownFailure | None, counters: JobCounters) -> KnownFailure:
    """Return a failure in doubt as one that the next run asks again, given how the item failed before.

    What was refused before, the same text with the same settings, is no longer in doubt where others have been accepted before.
    """
    if before is None or (before.space, before.key, before.failure.reason) != (known.space, known.key, known.failure.reason):
        return replace(known, in_doubt=True)
    return replace(known, in_doubt=before.in_doubt and not counters.counts.cached)


def _beyond_limit(items: Items) -> list[KnownFailure]:
    """Return the failures of an earlier run whose items this one does not see."""
    seen = {item.id for item in items.source.items()}
    return [known for name, known in known_failures(items.context.ledger, items.context.failures).items() if name not in seen]


def _failed(space: Space, texts: Iterable[OpenText], by_key: Mapping[bytes, EmbedFailure]) -> Iterator[KnownFailure]:
    for text in texts:
        failure = by_key.get(text.key)
        if failure is not None:
            told = ItemFailure(text.id, text.place, failure.reason, failure.message, failure.attempts)
            yield KnownFailure(told, space.fingerprint, text.key)
