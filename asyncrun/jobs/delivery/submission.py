"""A batch is recorded, handed over, recorded, submitted, recorded: whatever happens in between, nothing is submitted twice.

The order of the records is the proof. `intended` alone: nothing was asked for, and the batch is forgotten. `uploaded`: it may have been
asked for, and the provider is looked through for its tag, twice with a while between, before it is asked for again with the same tag.
"""

from __future__ import annotations

import asyncio
import string
from dataclasses import dataclass, field, replace
from random import Random
from typing import NoReturn

from asyncrun.batches.interface import TAG_LENGTH, BatchEndpoint, BatchRequest, BatchState, ProviderBatch, Refusal, request_id
from asyncrun.errors import EndpointError, OutageError
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.delivery.cutting import CutBatch
from asyncrun.jobs.delivery.pace import Pace
from asyncrun.jobs.delivery.work import BatchWork
from asyncrun.ledger.job_records import Amount
from asyncrun.ledger.provider_batches import BatchRecord, RecordState, known_batch_ids, put_provider_batch
from asyncrun.usage import Usage

TIMES_ASKED = 3
"""How often a batch is asked for whose replies get lost."""
LIKELY_KEPT = 29 * 86_400.0
"""Seconds for which replies are kept of which the provider says nothing: what the shortest of the others says."""
REFUSED = "Correct what it says, or take `delivery: batch` away; what is finished is kept."
ELSEWHERE = "Put its base_url back, or give the batch up with `asyncrun batches cancel {tag}`: its rows are submitted again then."
AGAIN = "Run the same command again: the batch is looked for before it is submitted again."
UNKNOWN = (
    "Set the key that it was submitted with, and run the same command again."
    " Or give it up with `asyncrun batches cancel {tag}`: its rows are submitted again then."
)


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """A batch that is at its provider, as the ledger knows it and as the provider last told; since when it is there, in our seconds."""

    record: BatchRecord
    told: ProviderBatch
    since: float


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """A batch that is handed over and that its provider does not take yet: too much waits there.

    `batch` has its requests, if they are known.
    """

    record: BatchRecord
    batch: CutBatch | None
    message: str


@dataclass(slots=True, eq=False)
class Submission:
    """Submits batches of a job. `taken` are the tags of those that this run has reserved for in its budget."""

    work: BatchWork
    endpoint: BatchEndpoint
    context: JobContext
    rng: Random
    pace: Pace
    taken: set[str] = field(default_factory=set)

    async def submit(self, batch: CutBatch) -> WaitingBatch | HeldBatch:
        """Submit a batch.

        Raises BudgetError before anything is sent, EndpointError for one that is refused, and what the endpoint raises.
        """
        tag = "".join(self.rng.choices(string.ascii_lowercase + string.digits, k=TAG_LENGTH))
        cost = batch.expected.cost * self.endpoint.terms.price
        if self.context.budget is not None:
            await self.context.budget.take(Amount(batch.expected.tokens, cost))
        self.taken.add(tag)
        record = BatchRecord(
            tag=tag,
            job=self.context.job_id,
            space=self.work.space.fingerprint,
            generation=self.context.generation.number,
            provider=self.endpoint.provider,
            host=self.endpoint.host,
            model=self.work.space.model,
            purpose=self.work.purpose,
            state=RecordState.INTENDED,
            file=None,
            batch=None,
            created=self.context.clock.now(),
            requests=len(batch),
            tokens=batch.expected.tokens,
            cost=cost,
            failures=(),
            keys=bytes(batch.keys),
        )
        await put_provider_batch(self.context.ledger, record)
        file = await self.endpoint.upload(batch.requests(tag), tag)
        record = await self._put(record, state=RecordState.UPLOADED, file=file)
        made = await self._create(record, batch)
        return await self._refused(record, made) if isinstance(made, Refusal) else made

    async def recover(self, record: BatchRecord, *, wanted: bool) -> WaitingBatch | HeldBatch | BatchRecord:
        """Find out what has become of a batch that a run has left; one that is not at its provider is given up, and returned so.

        What was handed over and is `wanted` is submitted. What is not, and lies where nobody asks any more, is left there.
        """
        if record.state is RecordState.INTENDED:
            return await self.give_up(record)
        if record.host != self.endpoint.host:
            if not wanted:
                return record
            raise EndpointError(
                f"a batch of {record.requests:,} requests is at {record.host}, and the model is asked at {self.endpoint.host} now",
                hint=ELSEWHERE.format(tag=record.tag),
            )
        if record.state is RecordState.UPLOADED:
            found = await self._find(record)
            if found is not None:
                return await self._submitted(record, found)
            return await self.create_again(record, None) if wanted and record.file is not None else await self.give_up(record)
        return WaitingBatch(record, ProviderBatch(str(record.batch), record.tag, BatchState.UNKNOWN, ""), record.created)

    async def give_up(self, record: BatchRecord) -> BatchRecord:
        """Have nobody ask for a batch any more, and its requests go into another one; what was reserved for it is given back."""
        if self.context.budget is not None and record.job == self.context.job_id:
            await self.context.budget.give_back(Amount(record.tokens, record.cost), taken_here=record.tag in self.taken)
        return await self._put(record, state=RecordState.GIVEN_UP)

    async def collected(self, record: BatchRecord, usage: Usage, *, answered: bool) -> None:
        """Put a batch that is collected; what was reserved for it and not used is given back.

        What a server has not counted stays as it was expected, where it has `answered` at all.
        """
        await put_provider_batch(self.context.ledger, record)
        if self.context.budget is None or record.job != self.context.job_id or not (usage.tokens or not answered):
            return
        cost = record.cost if usage.cost is None and answered else usage.cost or 0.0
        unused = Amount(record.tokens - usage.tokens, record.cost - cost)
        await self.context.budget.give_back(unused, taken_here=record.tag in self.taken)

    async def create_again(self, record: BatchRecord, batch: CutBatch | None) -> WaitingBatch | HeldBatch | BatchRecord:
        """Ask for a batch that was handed over before; it is given up, and returned so, where its file is not kept any more.

        Raises as `submit` does.
        """
        made = await self._create(record, batch)
        if isinstance(made, Refusal):
            return await self.give_up(record) if made.absent else await self._refused(record, made)
        return made

    async def _refused(self, record: BatchRecord, refusal: Refusal) -> NoReturn:
        await self.give_up(record)
        raise EndpointError(f"{self.endpoint.host} refuses a batch of {record.requests:,} requests: {refusal.message}", hint=REFUSED)

    async def _create(self, record: BatchRecord, batch: CutBatch | None) -> WaitingBatch | HeldBatch | Refusal:
        for time in range(TIMES_ASKED):
            requests = await asyncio.to_thread(self._one_like_them, record.tag) if batch is None else batch.requests(record.tag)
            made = await self.endpoint.create(requests, record.file, record.tag)
            if isinstance(made, Refusal):
                if made.full:
                    return HeldBatch(record, batch, made.message)
                return made
            if made is None:
                made = await self._find(record)
            elif time:
                # The former ones may be there after all, and listed late.
                await self._settle()
                found = [each for each in await self._look(record) if each.id != made.id]
                made = await self._first_of_twins(record, [*found, made])
            if made is not None:
                return await self._submitted(record, made)
        raise OutageError(f"{self.endpoint.host} answers no submission of a batch, and shows none", hint=AGAIN)

    def _one_like_them(self, tag: str) -> list[BatchRequest]:
        """Return one request for all of a file: some vendors are told only now what all of them say beside their texts. Blocks."""
        first = next(self.work.requests(), None)
        return [] if first is None else [BatchRequest(request_id(tag, 0), first.body)]

    async def _find(self, record: BatchRecord) -> ProviderBatch | None:
        """Look for a batch, and once more after a while: a list may be older than what was asked for a moment ago."""
        for pause in (False, True):
            if pause:
                await self._settle()
            if (found := await self._first_of_twins(record, await self._look(record))) is not None:
                return found
        return None

    async def _settle(self) -> None:
        await self.context.wait_for(self.context.clock.sleep(self.pace.settle))

    async def _look(self, record: BatchRecord) -> list[ProviderBatch]:
        found = await self.endpoint.find(record.tag, record.created, record.requests)
        others = await asyncio.to_thread(known_batch_ids, self.context.ledger, record.tag)
        return [each for each in found if each.tag == record.tag or (each.tag is None and each.id not in others)]

    async def _first_of_twins(self, record: BatchRecord, found: list[ProviderBatch]) -> ProviderBatch | None:
        """Keep the first of several batches with one tag; the others are not wanted."""
        for twin in found[1:]:
            # Of a vendor that tells no tag another one may be somebody else's.
            if twin.tag == record.tag and not twin.state.over:
                await self.endpoint.cancel(twin.id)
        return found[0] if found else None

    async def _submitted(self, record: BatchRecord, told: ProviderBatch) -> WaitingBatch:
        return WaitingBatch(await self._put(record, state=RecordState.SUBMITTED, batch=told.id), told, self.context.clock.now())

    async def unknown(self, record: BatchRecord) -> BatchRecord:
        """Return the record given up, of a batch that is not kept any more. Raises EndpointError within the time that it is kept."""
        terms = self.endpoint.terms
        if self.context.clock.now() < record.created + terms.window + (terms.kept or LIKELY_KEPT):
            raise EndpointError(
                f"{record.host} does not know the batch {record.batch} of {record.requests:,} requests, which was submitted there",
                hint=UNKNOWN.format(tag=record.tag),
            )
        return await self.give_up(record)

    async def _put(self, record: BatchRecord, **changes: object) -> BatchRecord:
        changed = replace(record, **changes)  # type: ignore[arg-type]
        await put_provider_batch(self.context.ledger, changed)
        return changed
