"""A provider of batches in memory, and work for it: with each call it may be the last moment of the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from asyncrun.aio.stop import StopRequest
from asyncrun.batches.interface import BatchReply, BatchRequest, BatchState, BatchTerms, ProviderBatch, Purpose, Refusal
from asyncrun.callbacks.base import CallbackManager
from asyncrun.jobs.budget import JobBudget
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.delivery.engine import deliver
from asyncrun.jobs.delivery.work import Delivery, Kept, WorkReply, WorkRequest
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.run_options import RunOptions
from asyncrun.ledger.job_records import Amount, SpendingAccount
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.provider_batches import BatchRecord, provider_batches
from asyncrun.ports import Progress
from asyncrun.records import KEY_BYTES, EmbedFailure, Space, text_key
from asyncrun.results import BatchUse
from asyncrun.testing.clock import FakeClock
from asyncrun.usage import Usage

SPACE = Space("openai", "m")


class KilledError(BaseException):
    """The process has ended here."""


@dataclass
class Batch:
    tag: str
    requests: list[BatchRequest]
    created: float
    state: BatchState = BatchState.WAITING
    message: str | None = None
    full: bool = False
    undone: frozenset[int] = frozenset()


@dataclass
class Provider:
    """What lies at the provider. It outlives runs, which end where `dies_at` calls were made.

    `files` says whether it takes files, otherwise it tells no tags either. `lost` creations answer nothing. `leaves` are requests, by their
    text, that the first batch does not do which they are in; `refuses` fail by themselves.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    files: bool = True
    terms: BatchTerms = field(default_factory=lambda: BatchTerms(requests=4, size=10_000_000))
    takes: float = 100.0
    dies_at: int | None = None
    lost: int = 0
    listed_after: float = 0.0
    leaves: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    full: int = 0
    forgets: bool = False
    provider: str = "openai"
    host: str = "api.example.com"
    calls: int = 0
    batches_there: dict[str, Batch] = field(default_factory=dict)
    uploads: dict[str, list[BatchRequest]] = field(default_factory=dict)
    worked_on: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def _step(self) -> None:
        self.calls += 1
        if self.dies_at is not None and self.calls >= self.dies_at:
            raise KilledError

    async def upload(self, requests: Iterable[BatchRequest], tag: str) -> str | None:
        self._step()
        if not self.files:
            return None
        name = f"file-{len(self.uploads)}"
        self.uploads[name] = await asyncio.to_thread(list, requests)
        self._step()
        return name

    async def create(self, requests: Iterable[BatchRequest], file: str | None, tag: str) -> ProviderBatch | Refusal | None:
        self._step()
        if self.full:
            self.full -= 1
            return Refusal("the queue is full", full=True)
        lines = self.uploads[file] if file is not None else await asyncio.to_thread(list, requests)
        name = f"batch-{len(self.batches_there)}"
        self.batches_there[name] = Batch(tag, lines, self.clock.now())
        self.worked_on += [text for line in lines if (text := line.body["text"]) not in self.refuses | self.leaves]
        self._step()
        if self.lost:
            self.lost -= 1
            return None
        return self._told(name)

    def _told(self, name: str, *, listed: bool = False) -> ProviderBatch:
        batch = self.batches_there[name]
        if batch.state is BatchState.WAITING and self.clock.now() >= batch.created + self.takes:
            batch.state = BatchState.ENDED
            texts = [line.body["text"] for line in batch.requests]
            batch.undone = frozenset(number for number, text in enumerate(texts) if text in self.leaves)
            self.leaves -= set(texts)
        tag = None if listed and not self.files else batch.tag
        over = batch.state.over and batch.state is not BatchState.FAILED
        return ProviderBatch(
            name,
            tag,
            batch.state,
            batch.state,
            batch.created,
            len(batch.requests),
            message=batch.message,
            full=batch.full,
            has_replies=over,
        )

    async def find(self, tag: str, since: float, requests: int) -> list[ProviderBatch]:
        self._step()
        found = [
            self._told(name, listed=True)
            for name, batch in self.batches_there.items()
            if since <= batch.created <= self.clock.now() - self.listed_after
            and (batch.tag == tag if self.files else len(batch.requests) == requests)
        ]
        return sorted(found, key=lambda each: each.created or 0.0)

    async def get(self, batch_id: str, created: float | None = None) -> ProviderBatch | None:
        self._step()
        return None if self.forgets else self._told(batch_id)

    async def batches(self) -> AsyncIterator[ProviderBatch]:
        for name in list(self.batches_there):
            yield self._told(name)

    async def replies(self, batch: ProviderBatch) -> AsyncIterator[BatchReply]:
        there = self.batches_there[batch.id]
        lines = list(enumerate(there.requests))
        Random(1).shuffle(lines)
        for number, line in lines:
            self._step()
            if number in there.undone:
                yield BatchReply(line.custom_id, reason="expired", again=True)
            elif line.body["text"] in self.refuses:
                yield BatchReply(line.custom_id, reason="refused", message="not this one")
            else:
                yield BatchReply(line.custom_id, {"of": line.body["text"]})

    async def cancel(self, batch_id: str) -> None:
        self.cancelled.append(batch_id)
        batch = self.batches_there[batch_id]
        if not self._told(batch_id).state.over:
            batch.state, batch.undone = BatchState.CANCELLED, frozenset(range(len(batch.requests)))
            for line in batch.requests:
                self.worked_on.remove(line.body["text"])

    async def delete(self, batch: ProviderBatch) -> int:
        return 0

    async def aclose(self) -> None:
        pass


@dataclass
class Work:
    """Texts; `kept` outlives runs as the ledger does. `failed` is what this run has been told."""

    texts: Sequence[str]
    kept: dict[bytes, str]
    failed: dict[bytes, EmbedFailure] = field(default_factory=dict)
    online: float | None = 60.0
    space: Space = SPACE
    purpose: Purpose = "embeddings"

    @property
    def left(self) -> list[str]:
        return [text for text in self.texts if text_key(text) not in {**self.kept, **self.failed}]

    def requests(self) -> Iterator[WorkRequest]:
        for text in self.left:
            yield WorkRequest(text_key(text), {"text": text}, Amount(10, 0.01))

    def seconds_online(self, requests: int, tokens: int) -> float | None:
        return self.online

    def finished(self, keys: bytes) -> NDArray[np.bool_]:
        return np.array([keys[at : at + KEY_BYTES] in self.kept for at in range(0, len(keys), KEY_BYTES)], dtype=np.bool_)

    async def keep(self, replies: Sequence[WorkReply]) -> Kept:
        self.kept |= {reply.key: reply.document["of"] for reply in replies}
        return Kept([reply.key for reply in replies], usage=Usage(len(replies), tokens=5 * len(replies), cost=0.005 * len(replies)))

    def fail(self, failures: Sequence[tuple[bytes, EmbedFailure]]) -> None:
        self.failed.update(failures)


class Said(Progress):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def warn(self, message: str) -> None:
        self.sentences.append(message)


@dataclass
class Folder:
    """A state folder, and what runs in it have kept."""

    path: Path
    provider: Provider = field(default_factory=Provider)
    kept: dict[bytes, str] = field(default_factory=dict)
    said: Said = field(default_factory=Said)
    drawn: Random = field(default_factory=lambda: Random(7))
    budget: float | None = None
    used: BatchUse | None = None

    def run(
        self,
        texts: Sequence[str],
        *,
        job: str = "job",
        online_stragglers: bool = False,
        delivery: Delivery | None = None,
        stop_after: float | None = None,
        options: RunOptions | None = None,
    ) -> Work:
        """Run a job as far as it gets; raises what ends it."""
        work = Work(texts, self.kept)
        endpoint = self.provider
        with closing(Ledger(self.path / "ledger.db", warn=self.said.warn)) as ledger:
            budget = None
            if self.budget is not None:
                budget = JobBudget(SpendingAccount(ledger, f"jobs.yaml/{job}"), cost=self.budget)
                budget.spent, budget.stopped = budget.account.balance()
            deadline = None if stop_after is None else endpoint.clock.monotonic() + stop_after
            context = JobContext(
                job,
                f"jobs.yaml/{job}",
                ledger,
                StopRequest(),
                endpoint.clock,
                CallbackManager(),
                deadline=deadline,
                budget=budget,
                options=options or RunOptions(),
            )
            counters = JobCounters(context, "embed", self.said)
            how = replace(delivery or Delivery(endpoint, self.drawn), online_stragglers=online_stragglers)
            try:
                asyncio.run(deliver(work, how, counters))
            finally:
                self.used = counters.delivery
        return work

    @property
    def records(self) -> list[BatchRecord]:
        """Return what the ledger knows of batches."""
        with closing(Ledger(self.path / "ledger.db", warn=self.said.warn)) as ledger:
            return provider_batches(ledger, SPACE.fingerprint)
