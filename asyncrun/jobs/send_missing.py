"""Items without a finished vector are sent, what another job is sending is awaited, and what failed is kept with all that have its text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.errors import AsyncrunError, TryLaterError
from asyncrun.jobs.disk_space import DiskCheck
from asyncrun.jobs.forecast import load_of
from asyncrun.jobs.items import Items
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.outputs import JobOutput, RowIds
from asyncrun.jobs.run_options import unsent_error
from asyncrun.jobs.scan import Scan
from asyncrun.jobs.send_batches import Batch, send_all
from asyncrun.jobs.space_check import check_endpoint
from asyncrun.jobs.unfinished_texts import UnfinishedText, UnfinishedTexts
from asyncrun.ledger.job_records import KnownFailure, known_failures
from asyncrun.ledger.ledger import TRUNCATED
from asyncrun.records import Embedded, EmbedFailure, ItemFailure, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray


async def send_missing(
    items: Items, scanned: Scan, texts: UnfinishedTexts, counters: JobCounters, output: JobOutput
) -> tuple[AsyncrunError | None, RowIds[int]]:
    """Send what is not finished, `texts`; every vector is durable before it is counted.

    What another job is sending, of this run or another one, is awaited, not sent. It ends when the first answer shows that there is no
    room. Raises StorageError before all else when what is known to come does not fit.

    Returns the error that ended it early, and without one which items are done. Failures are kept in the ledger in every case.
    """
    index = texts.index
    disk_check = DiskCheck(lambda: items.disk(scanned, index, output), items.context.free_space)
    counters.say(await asyncio.to_thread(items.prepare, scanned, index, disk_check))
    send, times = scanned.missing(index)
    done = scanned.positions(index)[scanned.ready & ~scanned.unfinished(index)]
    left = int(np.count_nonzero(scanned.unfinished(index))) - int(times.sum())
    counters.add(ok=len(done), cached=len(done), skipped=scanned.skipped, truncated=int(np.count_nonzero(index.flags(done) & TRUNCATED)))
    sender = _ItemSender(items, scanned, texts, times, counters, disk_check)
    # Told before anything is sent: whoever watches sees them while there is time to mend them.
    for known in scanned.failures:
        counters.fail(known.failure)
    try:
        error: AsyncrunError | None = counters.too_many()
        if error is None and send.any():
            await check_endpoint(items.embedder, items.input_type, counters)
        if error is None and "embeddings" in items.context.deliveries:
            from asyncrun.jobs.delivery.items import deliver_items

            send = await deliver_items(
                items, scanned=scanned, texts=texts, send=send, times=times, failures=sender.failures, counters=counters
            )
        while error is None and send.any():
            error, send = await sender.send(send)
        return error or unsent_error(left), scanned.done(sender.failures)
    finally:
        await keep_failures(items, scanned, texts, sender.failures, counters)


@dataclass(frozen=True, slots=True, eq=False)
class _ItemSender:
    """Sends items of a scan. `times[i]` is how many items have the text of item i, `failures` are those of the answers, by ordinal."""

    items: Items
    scanned: Scan
    texts: UnfinishedTexts
    times: NDArray[np.int64]
    counters: JobCounters
    disk_check: DiskCheck
    failures: dict[int, EmbedFailure] = field(default_factory=dict)

    async def send(self, send: NDArray[np.bool_]) -> tuple[AsyncrunError | None, NDArray[np.bool_]]:
        """Send what no other job is sending, then wait for those. Returns an error that ended it, and what is still to be sent."""
        items, scanned, context = self.items, self.scanned, self.items.context
        ordinals = np.flatnonzero(send)
        async with context.leases.take_texts(items.space.fingerprint, scanned.raw_keys_of(ordinals)) as leased:
            own = ordinals[leased.mine]
            # What was looked at is older than the lease.
            own = own[~await self._count_finished(own)]
            mine = np.zeros_like(send)
            mine[own] = True
            self.counters.progress.expect(self.counters.name, load_of(scanned.sizes[mine].tolist(), items.embedder))
            pending = self.texts.pending(mine) if mine.any() else ()
            error = await send_all(
                pending,
                self._received,
                embedder=items.embedder,
                input_type=items.input_type,
                counters=self.counters,
                disk_check=self.disk_check,
            )
            leased.failed.update((scanned.key(ordinal), context.redacted(failure)) for ordinal, failure in self.failures.items())
            if error is not None or not leased.others:
                return error, np.zeros_like(send)
            try:
                failed = await self.counters.wait_for(leased)
            except TryLaterError as stopped:
                return stopped, np.zeros_like(send)
        return None, await self._undone(ordinals[~leased.mine], failed)

    def _received(self, batch: Batch, answer: Embedded) -> AsyncrunError | None:
        self.counters.add(
            ok=sum(int(self.times[batch[position].ordinal]) for position in answer.positions),
            truncated=sum(int(self.times[batch[position].ordinal]) for position in answer.truncated),
        )
        self.counters.spend(answer.waits)
        self.failures.update((batch[failure.position].ordinal, failure) for failure in answer.failures)
        failed = sum(int(self.times[ordinal]) for ordinal in self.failures)
        return self.counters.too_many(more=failed) if answer.failures else None

    async def _undone(self, ordinals: NDArray[np.intp], failed: Mapping[bytes, EmbedFailure]) -> NDArray[np.bool_]:
        """Count what other jobs have finished, or could not; returns what they have left undone."""
        found = await self._count_finished(ordinals)
        undone = np.zeros(len(self.scanned), dtype=bool)
        for ordinal in ordinals[~found].tolist():
            failure = failed.get(self.scanned.key(ordinal))
            if failure is not None:
                self.failures[ordinal] = failure
            else:
                undone[ordinal] = True
        return undone

    async def _count_finished(self, ordinals: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Count what other jobs have finished since this one looked; returns which of the ordinals that is."""
        index = await asyncio.to_thread(self.items.index)
        positions = index.find(self.scanned.keys[ordinals])
        found = positions >= 0
        done = self.times[ordinals[found]]
        truncated = index.flags(positions[found]) & TRUNCATED > 0
        self.counters.add(ok=int(done.sum()), cached=int(done.sum()), truncated=int(done[truncated].sum()))
        return found


async def keep_scanned_failures(items: Items, scanned: Scan, counters: JobCounters) -> None:
    """Count and store the failures of a scan of which nothing is sent."""
    for known in scanned.failures:
        counters.fail(known.failure)
    await keep_failures(items, scanned, (), {}, counters)


async def keep_failures(
    items: Items, scanned: Scan, texts: Iterable[UnfinishedText], failures: Mapping[int, EmbedFailure], counters: JobCounters
) -> None:
    """Store the failures of the scan, which are counted already, and count and store those of the answers, given by the item's ordinal."""
    context = items.context
    by_key = {scanned.key(ordinal): failure for ordinal, failure in failures.items()}
    known = list(scanned.failures)
    if by_key:
        new = await asyncio.to_thread(lambda: list(_failed(items.space, texts, by_key)))
        if counters.nothing_accepted:
            before = await asyncio.to_thread(known_failures, context.ledger, context.job_id)
            new = [counters.with_doubt(each, before.get(each.failure.id)) for each in new]
        for each in new:
            counters.fail(each.failure)
        known += new
    if context.options.limit is not None:
        known += await asyncio.to_thread(_beyond_limit, items)
    await context.keep_failures(known)


def _beyond_limit(items: Items) -> list[KnownFailure]:
    """Return the failures of an earlier run whose items this one does not see."""
    seen = {item.id for item in items.source.items()}
    return [known for name, known in known_failures(items.context.ledger, items.context.job_id).items() if name not in seen]


def _failed(space: Space, texts: Iterable[UnfinishedText], by_key: Mapping[bytes, EmbedFailure]) -> Iterator[KnownFailure]:
    for text in texts:
        failure = by_key.get(text.key)
        if failure is not None:
            told = ItemFailure(text.id, text.place, failure.reason, failure.message, failure.attempts)
            yield KnownFailure(told, space.fingerprint, text.key)
