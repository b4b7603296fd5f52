"""What a batch has answered comes into the ledger: replies as they stream, in groups, proven as online; then the batch is collected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from asyncrun.batches.interface import BatchReply, parse_request_id
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.jobs.delivery.submission import Submission, WaitingBatch
from asyncrun.jobs.delivery.work import BatchWork, WorkReply
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.ledger.provider_batches import BatchFailure, BatchRecord, RecordState
from asyncrun.usage import Usage

GROUP = 256
"""Replies that become durable together."""
_NOTHING, _FAILED, _DONE = range(3)


@dataclass(slots=True, eq=False)
class CollectedReplies:
    """The replies of one batch, as they come. `used` is told what each group has used."""

    work: BatchWork
    record: BatchRecord
    price: float
    used: Callable[[Usage], object]
    usage: Usage = field(default_factory=Usage)
    strangers: int = 0
    _states: bytearray = field(init=False)
    _failures: dict[int, BatchFailure] = field(default_factory=dict)
    _group: dict[int, BatchReply] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._states = bytearray(self.record.requests)

    @property
    def done(self) -> int:
        """Return how many requests have a good reply."""
        return self._states.count(_DONE)

    async def add(self, reply: BatchReply) -> None:
        """Take a reply; of several to one request the first good one counts."""
        number = self._number(reply.custom_id)
        if number is None:
            self.strangers += 1
            return
        if number in self._group or len(self._group) >= GROUP:
            await self.flush()
        if self._states[number] == _DONE or reply.again:
            return
        if reply.reason is not None:
            self._failed(number, reply.reason, reply.message)
        else:
            self._group[number] = reply

    async def flush(self) -> None:
        """Return when what was added is durable."""
        group, self._group = self._group, {}
        if not group:
            return
        numbers = {self.record.key(number): number for number in group}
        kept = await self.work.keep([WorkReply(self.record.key(number), reply.body) for number, reply in group.items()])
        for key in kept.done:
            self._states[numbers[key]] = _DONE
            self._failures.pop(numbers[key], None)
        for key, failure in kept.failures:
            self._failed(numbers[key], failure.reason, failure.message)
        cost = None if kept.usage.cost is None else kept.usage.cost * self.price
        usage = replace(kept.usage, requests=len(group), cost=cost)
        self.usage += usage
        self.used(usage)

    def collected(self) -> BatchRecord:
        """Return the record of the batch once all its replies are durable."""
        return replace(self.record, state=RecordState.COLLECTED, failures=tuple(self._failures.values()))

    def _failed(self, number: int, reason: str, message: str) -> None:
        self._states[number] = _FAILED
        self._failures.setdefault(number, BatchFailure(number, reason, message))

    def _number(self, custom_id: str) -> int | None:
        tag, number = parse_request_id(custom_id) or ("", 0)
        return number if tag == self.record.tag and number < self.record.requests else None


async def collect(waiting: WaitingBatch, submission: Submission, counters: JobCounters) -> CollectedReplies:
    """Return what a batch that is over has answered, when it is durable; an event tells of it.

    Raises RepliesGoneError, and what the endpoint and the ledger raise.
    """
    record, endpoint = waiting.record, submission.endpoint
    collection = CollectedReplies(submission.work, record, endpoint.terms.price, counters.use)
    about = {
        EventPayload.MODEL_NAME: record.model,
        "provider": record.provider,
        "server.address": record.host,
        "items": record.requests,
        "delivery": "batch",
        "batch": record.batch,
    }
    kind = CBEventType.EMBEDDING if record.purpose == "embeddings" else CBEventType.LLM
    with counters.context.manager.event(kind, payload=about) as event, event.enclosing():
        if waiting.told.has_replies:
            async for reply in endpoint.replies(waiting.told):
                await collection.add(reply)
            await collection.flush()
        counts = {"ok": collection.done, "failed": len(collection.collected().failures), "tokens": collection.usage.tokens}
        event.on_end(payload={**counts, "requests": collection.usage.requests, "retries": 0})
    return collection
