"""The phase of a job that delivers in batches: what is ready is collected, what is new submitted, and then it waits.

It comes before the ordinary way, which finds in the ledger what came back, and sends what is left. Whatever ends it, batches stay where
they are, and the next run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING

from asyncrun.errors import TryLaterError
from asyncrun.jobs.delivery.cutting import RequestStream, most_requests
from asyncrun.jobs.delivery.deadline import Step, choose, due_at
from asyncrun.jobs.delivery.pace import pace_of
from asyncrun.jobs.delivery.rounds import BatchTally, Round
from asyncrun.jobs.delivery.standing import MOST_BATCHES, PendingKeys, find_standing
from asyncrun.jobs.delivery.submission import Submission
from asyncrun.jobs.delivery.work import BatchWork, Delivery, WorkRequest
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.unfinished_texts import Spool
from asyncrun.ledger.job_records import Amount
from asyncrun.ledger.provider_batches import BatchRecord, RecordState, provider_batch, provider_batches
from asyncrun.records import KEY_BYTES, text_key
from asyncrun.results import BatchUse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


async def deliver(work: BatchWork, delivery: Delivery, counters: JobCounters) -> None:
    """Deliver in batches what is not finished, until only the ordinary way is left.

    Raises TryLaterError where the job must end while batches wait; they stay there. Raises BudgetError, and what the endpoint and the
    ledger raise.
    """
    engine = Engine(work, delivery, counters)
    try:
        while await engine.round():
            pass
    finally:
        counters.delivery = (counters.delivery or BatchUse()) + engine.tally.use


@dataclass(slots=True, eq=False)
class Engine:
    """The rounds of one run of a job: a later one submits again what an earlier one has left, and what has come of it."""

    work: BatchWork
    delivery: Delivery
    counters: JobCounters
    tally: BatchTally = field(init=False)
    submission: Submission = field(init=False)
    _count: int = 0
    _expected: Amount = field(default_factory=Amount)

    def __post_init__(self) -> None:
        endpoint = self.delivery.endpoint
        self.tally = BatchTally(most_requests(endpoint.terms, self.work.purpose))
        self.submission = Submission(self.work, endpoint, self.counters.context, self.delivery.rng, pace_of(endpoint))

    async def round(self) -> bool:
        """Do one round; returns whether there may be another one."""
        context = self.counters.context
        async with context.spool() as spool, AsyncExitStack() as stack:
            keys = await asyncio.to_thread(self._fill, spool)
            leased = await stack.enter_async_context(context.leases.take_texts(self.work.space.fingerprint, keys))
            pending = await asyncio.to_thread(PendingKeys, keys)
            free = leased.mine & ~await asyncio.to_thread(self.work.finished, keys)
            current = Round(self.submission, self.counters, self.tally, self.delivery.online_stragglers, stack)
            for record, wanted in await self._open(pending, free, stack):
                current.unwanted |= set() if wanted else {record.tag}
                if not isinstance(found := await self.submission.recover(record, wanted=wanted), BatchRecord):
                    current.take(found)
            send, begun = await asyncio.to_thread(self._sort_out, pending, free, current.records)
            if not current.records and not send.any():
                return False
            try:
                return await self._run(current, RequestStream(compress(spool, send.tobytes())), begun)
            finally:
                self.tally.waiting = sum(record.requests for record in current.records)

    async def _run(self, current: Round, stream: RequestStream, begun: float) -> bool:
        """Run a round to its end; returns whether there may be another one."""
        clock, terms, more = self.counters.context.clock, self.delivery.endpoint.terms, True
        due = None if self.delivery.deadline is None else due_at(self.delivery.deadline, begun)
        pauses, before = current.submission.pace.pauses(), (self.tally.batches, self.tally.ended)
        while True:
            await current.look()
            current.leave_unwanted()
            rest = self.work.seconds_online(self._count, self._expected.tokens)
            choice = choose(clock.now(), due, window=terms.window, rest=rest, waiting=bool(current.waits))
            if choice.step is Step.ONLINE:
                await current.cancel()
                if not current.waits:
                    return False
                pauses = current.submission.pace.pauses()  # The rest is sent as soon as they have ended.
            if choice.step is Step.SUBMIT and more:
                submitted = self.tally.batches
                more = await current.submit(stream)
                if self.tally.batches > submitted:
                    pauses = current.submission.pace.pauses()
            if not current.records and not (more and choice.step is Step.SUBMIT):
                break
            pause = next(pauses)
            await current.pause(pause if choice.until is None else min(pause, max(choice.until - clock.now(), 0.0)))
        if current.ended is not None:
            raise current.ended
        return before != (self.tally.batches, self.tally.ended)

    def _fill(self, spool: Spool[WorkRequest]) -> bytes:
        """Put what is not finished into a spool; returns its keys. Blocks."""
        keys, self._expected = bytearray(), Amount()

        def noted() -> Iterator[WorkRequest]:
            for request in self.counters.context.unless_stopped(self.work.requests()):
                keys.extend(request.key)
                self._expected += request.expected
                yield request

        spool.add_all(noted())
        self._count = len(keys) // KEY_BYTES
        return bytes(keys)

    async def _open(self, pending: PendingKeys, free: NDArray[np.bool_], stack: AsyncExitStack) -> list[tuple[BatchRecord, bool]]:
        """Return the batches that runs have left, of this job or with what it wants, and which has such; each in this run's hands alone."""
        context, found = self.counters.context, []
        for record in await asyncio.to_thread(provider_batches, context.ledger, self.work.space.fingerprint):
            if not record.state.open:
                continue
            wanted = bool((pending.mask(record.keys) & free).any())
            if not wanted and record.job != context.job_id:
                continue
            lease = context.leases.take_question(text_key(f"batch {record.tag}"), lambda: context.stopped() is None)
            if not await stack.enter_async_context(lease):
                raise context.stopped() or TryLaterError("stopped early")
            now = await asyncio.to_thread(provider_batch, context.ledger, record.tag)
            if now is not None and now.state.open:
                found.append((now, wanted))
        return found

    def _sort_out(self, pending: PendingKeys, free: NDArray[np.bool_], waiting: Sequence[BatchRecord]) -> tuple[NDArray[np.bool_], float]:
        """Return what is to be put into batches, and when the first batch of what is not finished was made. Blocks."""
        context = self.counters.context
        own = [
            record
            for record in provider_batches(context.ledger, self.work.space.fingerprint)
            if (record.job, record.generation) == (context.job_id, context.generation.number) and self._counts(record)
        ]
        most = 1 if self.delivery.online_stragglers else MOST_BATCHES
        standing = find_standing(pending, free, waiting, [record for record in own if record.state is RecordState.COLLECTED], most)
        self.work.fail(standing.failed)
        begun = (record.created for record in own if pending.mask(record.keys).any())
        return standing.send, min(begun, default=context.clock.now())

    def _counts(self, record: BatchRecord) -> bool:
        """Tell whether what has come of a batch holds for this run.

        A retry asks all that it has chosen again. A batch of which nothing was accepted may have been the provider's fault.
        """
        if record.tag in self.tally.collected or record.state.open:
            return True
        return self.counters.context.options.retry is None and len(record.failures) < record.requests
