"""A batch says what it waits for to whoever asks, and in the end which worker has made it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.stop import StopRequest
from asyncrun.aio.worker_state import monitor_workers
from asyncrun.callbacks.base import CallbackManager
from asyncrun.callbacks.llama_debug import LlamaDebugHandler
from asyncrun.callbacks.schema import CBEventType
from asyncrun.clock import SystemClock
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.embed_batch import embed_batch
from asyncrun.ledger.group_writer import WriteRows
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.packing import BatchLimits
from asyncrun.records import Embedded, InputType, Pending, Space
from asyncrun.usage import Waits


class Ones(BaseEmbedding):
    """Every text has the same vector."""

    provider = "ones"

    def space(self, input_type: InputType) -> Space:
        return Space(self.provider, self.model_name)

    async def _embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        return Embedded(np.ones((len(texts), 2), dtype=np.float32), tuple(range(len(texts))))


class SlowDisk(Ledger):
    """A ledger whose disk answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(Path("/unused"))
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def put(self, space: Space, finished: Finished, also: WriteRows | None = None) -> None:
        self.asked.set()
        await self.answer.wait()


@pytest.mark.asyncio
async def test_a_slot_that_waits_until_its_vectors_are_durable_waits_for_the_store() -> None:
    disk = SlowDisk()
    context = JobContext("job", "jobs.yaml/job", disk, StopRequest(), SystemClock(), CallbackManager())
    embedder = Ones(model="m", batch=BatchLimits(), workers=1)
    with monitor_workers() as seen:
        jobs = [embed_batch([Pending(bytes(16), "text", 4)], embedder, InputType.DOCUMENT, context)]
        running = asyncio.create_task(run_jobs(jobs))
        await disk.asked.wait()
        assert [worker.waits_for for worker in seen.busy()] == ["store"]
        disk.answer.set()
        [answer] = await running
    assert answer.positions == (0,)


class OnesElsewhere(Ones):
    """The vectors come from a worker of an executor."""

    async def _embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        return replace(await super()._embed(texts, input_type), worker="node-1 pid 7", waits=Waits(ship=0.25))


@pytest.mark.asyncio
@pytest.mark.parametrize(("embedder", "told"), [(OnesElsewhere, ("node-1 pid 7", 0.25)), (Ones, (None, None))])
async def test_a_batch_that_a_worker_has_made_says_which_one(embedder: type[Ones], told: object) -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    context = JobContext("job", "jobs.yaml/job", SlowDisk(), StopRequest(), SystemClock(), CallbackManager([handler]))
    batch = [Pending(bytes(16), "text", 4)]
    await embed_batch(batch, embedder(model="m", batch=BatchLimits(), workers=1), InputType.DOCUMENT, context, keep=False)
    [_, end] = handler.get_event_pairs(CBEventType.EMBEDDING)[0]
    assert (end.payload.get("worker"), end.payload.get("waits.ship")) == told
