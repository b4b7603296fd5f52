"""One round of batches: what is ready is collected, what is new submitted, and it waits until nothing of it is at the provider any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from asyncrun.aio.stop import MAX_RUNTIME
from asyncrun.aio.worker_state import waiting
from asyncrun.batches.interface import BatchState
from asyncrun.callbacks.schema import CBEventType
from asyncrun.errors import BudgetError, EndpointError, OutageError, QuotaError, RepliesGoneError, ThrottledError, TryLaterError
from asyncrun.jobs.delivery.collection import collect
from asyncrun.jobs.delivery.cutting import RequestStream, cut_batch
from asyncrun.jobs.delivery.submission import AGAIN, REFUSED, HeldBatch, Submission, WaitingBatch
from asyncrun.jobs.delivery.words import how_far, left_over, overdue, still_there
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.ledger.job_records import Amount
from asyncrun.ledger.provider_batches import BatchRecord
from asyncrun.results import BatchUse
from asyncrun.usage import Waits

T = TypeVar("T")
MOST_OUTAGES = 10
"""Looks in a row that may fail: a provider may be away for a while, and the batch waits there all the same."""
OVERDUE = 2.0
"""Times that a provider takes at most after which a batch is cancelled: Azure ends none by itself, and would keep what it has done."""
SMALL_AT_ONCE = 4
"""Batches that wait at most while each is smaller than the provider takes: a queue that others fill would make them tiny, and many."""


@dataclass(slots=True, eq=False)
class BatchTally:
    """What this run knows of batches, over all its rounds.

    `largest` is how many requests its provider takes in one, `most` how many go into one now, `refused` the fewest that had no room.
    `collected` are the tags of those that this run has collected, with how many good replies (`rows`); `batches` were submitted, `ended` of
    all that were waited for, and `waiting` requests are still there.
    """

    largest: int
    most: int = field(init=False)
    refused: int | None = None
    collected: set[str] = field(default_factory=set)
    rows: int = 0
    batches: int = 0
    ended: int = 0
    waiting: int = 0

    def __post_init__(self) -> None:
        self.most = self.largest

    @property
    def use(self) -> BatchUse:
        """Return what the job has done by batches in this run."""
        return BatchUse(self.batches, self.rows, self.waiting)

    def halve(self, requests: int) -> bool:
        """Note that there was no room for so many requests; returns whether that is news."""
        former, self.most = self.refused, max(requests // 2, 1)
        self.refused = requests if former is None else min(former, requests)
        return self.refused != former

    def double(self) -> None:
        """Note that there was room for a batch: it may be for a larger one by now."""
        self.most = min(2 * self.most, self.largest)


@dataclass(slots=True, eq=False)
class Round:
    """A round. `waits` are the batches at the provider by tag, `held` those that it does not take yet, `stack` closes what is opened.

    `unwanted` are the tags of batches whose rows are none of the job any more: they are collected where they are over, not waited for.
    """

    submission: Submission
    counters: JobCounters
    tally: BatchTally
    online_stragglers: bool
    stack: AsyncExitStack
    waits: dict[str, WaitingBatch] = field(default_factory=dict)
    held: list[HeldBatch] = field(default_factory=list)
    unwanted: set[str] = field(default_factory=set)
    ended: BudgetError | None = None
    _outages: int = 0
    _cancelled: bool = False
    _full: bool = False

    @property
    def records(self) -> list[BatchRecord]:
        """Return the batches that are not collected, the oldest first."""
        there = [*(each.record for each in self.waits.values()), *(each.record for each in self.held)]
        return sorted(there, key=lambda record: record.created)

    def take(self, what: WaitingBatch | HeldBatch) -> None:
        """Add a batch that was submitted, or is held."""
        if isinstance(what, WaitingBatch):
            self.waits[what.record.tag] = what
        else:
            self.held.append(what)

    async def look(self) -> None:
        """Ask how each batch stands, and collect what is over. Raises EndpointError for one that was refused or is not known there."""
        endpoint = self.submission.endpoint
        for tag, each in list(self.waits.items()):
            try:
                told = await self._unless_stopped(endpoint.get(each.told.id, each.since))
            except (OutageError, ThrottledError) as error:
                self._outages += 1
                if self._outages > MOST_OUTAGES:
                    raise
                if self._outages == 1:
                    self.counters.say([f"{error}; the batches wait there, and are asked for again"])
                return
            self._outages = 0
            if told is None and tag in self.unwanted:
                continue
            if told is None:
                gone = await self.submission.unknown(each.record)
                self.counters.say([f"{gone.host} has not kept the batch {gone.batch}: its rows are sent again"])
                del self.waits[tag]
                self.tally.ended += 1
                continue
            self.waits[tag] = now = replace(each, told=told)
            if told.state.over:
                del self.waits[tag]
                self.tally.ended += 1
                await self._over(now)
            elif told.state is BatchState.WAITING and self._overdue(each.record):
                self.counters.say([overdue(each.record, self.counters.context.clock.now())])
                await endpoint.cancel(told.id)

    def _overdue(self, record: BatchRecord) -> bool:
        return self.counters.context.clock.now() > record.created + OVERDUE * self.submission.endpoint.terms.window

    async def _unless_stopped(self, asked: Awaitable[T]) -> T:
        """Return what a provider tells, which may be away. Raises TryLaterError, as `pause` does, as soon as the job must end."""
        try:
            return await self.counters.context.wait_for(asked)
        except TryLaterError as error:
            if self.counters.context.stopped() is None:
                raise
            raise self.stopped(error) from None

    def leave_unwanted(self) -> None:
        """Have nobody wait for a batch of which the job needs nothing any more."""
        self.waits = {tag: each for tag, each in self.waits.items() if tag not in self.unwanted}
        self.held = [each for each in self.held if each.record.tag not in self.unwanted]

    async def submit(self, stream: RequestStream) -> bool:
        """Submit what is to be submitted, until a batch is held or the budget has no room; returns whether something is left for later."""
        context, terms = self.counters.context, self.submission.endpoint.terms
        for each in self.held[:]:
            self.held.remove(each)
            again = await self.submission.create_again(each.record, each.batch)
            if isinstance(again, BatchRecord):
                self.tally.ended += 1
                self.counters.say([f"{again.host} has not kept the file of a batch: its {again.requests:,} requests are sent again"])
            elif isinstance(again, HeldBatch) and again.record.requests > 1 and not self.waits:
                await self._halve(again.record, again.message)
            else:
                self.take(again)
        while not self.held and self.ended is None:
            if (stopped := context.stopped()) is not None:
                raise self.stopped(stopped)
            if self.waits and (self._full or (self.tally.most < self.tally.largest and len(self.waits) >= SMALL_AT_ONCE)):
                return True
            left = None if context.budget is None else context.budget.left()
            left = None if left is None else Amount(left.tokens, left.cost / terms.price)
            if left is not None and self.waits and not await asyncio.to_thread(stream.fits, left):
                return True  # What waits was reserved for at what it may use, and gives back what it has not.
            batch = await asyncio.to_thread(cut_batch, stream, context.ledger.folder, self.tally.most, terms.size, left)
            self.stack.push_async_callback(asyncio.to_thread, batch.close)
            if not len(batch):
                return False
            try:
                with context.manager.event(CBEventType.WAIT, payload={"name": "upload", "items": len(batch)}):
                    self.take(await self.submission.submit(batch))
                self.tally.batches += 1
            except BudgetError as error:
                self.ended = error
            if not self.held:
                await asyncio.to_thread(batch.close)
        return bool(self.held)

    async def pause(self, seconds: float) -> None:
        """Wait. Raises TryLaterError, which says what waits at the provider, as soon as the job must end."""
        context, host = self.counters.context, self.submission.endpoint.host

        def words() -> str:
            return how_far([each.told for each in self.waits.values()], self.records, host)

        event = context.manager.event(CBEventType.WAIT, payload={"name": "batches"})
        # What ends it is no failure of the wait: the event does not see it.
        began = context.clock.monotonic()
        with waiting("batches", words=words), event, suppress(TryLaterError):
            await context.wait_for(context.clock.sleep(seconds))
        self.counters.spend(Waits(batches=context.clock.monotonic() - began))
        if (stopped := context.stopped()) is not None:
            raise self.stopped(stopped)

    async def cancel(self) -> None:
        """Have the provider end what waits there: what it has done is collected."""
        if not self._cancelled:
            self._cancelled = True
            for each in self.waits.values():
                await self.submission.endpoint.cancel(each.told.id)
        for held in self.held:
            await self.submission.give_up(held.record)
        self.held.clear()

    def stopped(self, error: TryLaterError) -> TryLaterError:
        """Return the error of a job that must end while batches wait."""
        context = self.counters.context
        if not self.records:
            return error
        reason = context.stop.reason or MAX_RUNTIME
        words = still_there(self.records, self.submission.endpoint.host, context.clock.now(), reason)
        return TryLaterError(words, hint="They stay there. Run the same command again, as cron does: what is ready is collected.")

    async def _over(self, each: WaitingBatch) -> None:
        record, told = each.record, each.told
        if told.state is BatchState.FAILED and not told.has_replies:
            await self._refused(each)
            return
        try:
            collection = await collect(each, self.submission, self.counters)
        except RepliesGoneError as gone:
            await self.submission.give_up(record)
            self.counters.say([f"{gone.message}: the rows of the batch {record.batch} are sent again"])
            return
        self.tally.rows += collection.done
        done = collection.collected()
        await self.submission.collected(done, collection.usage, answered=bool(collection.done))
        self.tally.collected.add(record.tag)
        self.tally.double()
        self._full = False
        if collection.strangers:
            self.counters.say([f"{record.host} has answered {collection.strangers:,} requests that are not of its batch {record.batch}"])
        if left := record.requests - collection.done - len(done.failures):
            self.counters.say([left_over(record, told, left, online=self.online_stragglers)])

    async def _halve(self, record: BatchRecord, message: str) -> None:
        """Put the requests of a batch that is not taken into smaller ones: nothing of ours was in its way."""
        self.tally.ended += 1
        await self.submission.give_up(record)
        if self.tally.halve(record.requests):
            self.counters.say([f"{record.host} takes no batch of {record.requests:,} requests: {message}; it is submitted in smaller ones"])

    async def _refused(self, each: WaitingBatch) -> None:
        record, told = each.record, each.told
        await self.submission.give_up(record)
        words = f"{record.host} refuses the batch {record.batch} of {record.requests:,} requests: {told.message or told.word}"
        if record.tag in self.unwanted:
            return
        if not told.full:
            raise EndpointError(words, hint=REFUSED)
        self._full = True
        if not self.waits:
            # Nothing of ours was in its way: it is too large by itself.
            if record.requests == 1:
                raise QuotaError(words, hint=AGAIN)
            self.tally.halve(record.requests)
        self.counters.say([f"{words}; it is submitted again once there is room"])
