"""A batch that waits for the disk says so to whoever asks what the run waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.stop import StopRequest
from asyncrun.aio.worker_state import monitor_workers
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import SystemClock
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.embed_batch import embed_batch
from asyncrun.ledger.group_writer import WriteRows
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.packing import BatchLimits
from asyncrun.records import Embedded, InputType, Pending, Space


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
