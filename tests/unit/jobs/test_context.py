"""A job whose time is over, or that is to stop, does not wait for what another job is sending."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asyncrun.aio.stop import StopRequest
from asyncrun.callbacks.base import CallbackManager
from asyncrun.chunkers.interface import WholeChunker
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.errors import AsyncrunError
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.ingest.run import IngestRun
from asyncrun.jobs.ingest.store_sync import StoreSync, StoreTarget
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.space_check import check_endpoint, probe_of
from asyncrun.ledger.ledger import Ledger
from asyncrun.packing import BatchLimits
from asyncrun.ports import Progress
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.item_source import ItemSource
from asyncrun.records import Embedded, InputType, Space, text_key
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.clock import FakeClock

Working = Callable[[JobContext, Path], Awaitable[str | None]]


class Ones(BaseEmbedding):
    """Every text has the same vector, in a space with a name."""

    provider = "ones"

    def space(self, input_type: InputType) -> Space:
        return Space(self.provider, self.model_name, name="shared")

    async def _embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        return Embedded(np.ones((len(texts), 2), dtype=np.float32), tuple(range(len(texts))))


class Watched(FakeClock):
    """A clock that says when somebody has looked in vain, and looks again later."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.looked.set()
        await super().sleep(seconds)


EMBEDDER = Ones(model="m", batch=BatchLimits(), workers=1)


async def compare_places(context: JobContext, folder: Path) -> str | None:
    try:
        await check_endpoint(EMBEDDER, InputType.DOCUMENT, JobCounters(context, "embed", Progress()))
    except AsyncrunError as error:
        return str(error)
    return None


async def ingest(context: JobContext, folder: Path) -> str | None:
    store = SqliteStore(folder / "index.db")
    store_sync = StoreSync(store, StoreTarget("docs", "job", prune=False, max_delete=Threshold(0)), context, lambda: None)
    source = DistinctSource(ItemSource(folder, inline=("text",)))
    kind = IngestRun(source, EMBEDDER, WholeChunker(), "none", store_sync, "skip", context)
    try:
        return (await kind.run(Progress())).reason
    finally:
        await asyncio.to_thread(store.close)


@pytest.mark.parametrize(
    ("work", "sent_elsewhere"),
    [(compare_places, probe_of(EMBEDDER, InputType.DOCUMENT).key), (ingest, text_key("text"))],
    ids=["the probe of a named space", "a chunk of a document"],
)
@pytest.mark.parametrize(("deadline", "reason"), [(0.05, "max runtime"), (None, "SIGINT")])
@pytest.mark.asyncio
async def test_what_another_job_sends_is_awaited_until_this_one_must_end_and_no_longer(
    work: Working, sent_elsewhere: bytes, tmp_path: Path, deadline: float | None, reason: str
) -> None:
    ledger = Ledger(tmp_path / "ledger.db", warn=lambda words: None)
    clock = Watched()
    job = partial(JobContext, "job", "jobs.yaml/job", ledger, StopRequest(), clock, CallbackManager())
    try:
        if work is ingest:
            assert await compare_places(job(), tmp_path) is None
        context = job(deadline=deadline)
        async with asyncio.timeout(30), context.leases.take_texts(EMBEDDER.space(InputType.DOCUMENT).fingerprint, [sent_elsewhere]):
            working = asyncio.create_task(work(context, tmp_path))
            await clock.looked.wait()
            if deadline is None:
                context.stop.request("SIGINT", 2)
            said = await working
    finally:
        await asyncio.to_thread(ledger.close)
    assert said == f"stopped early: {reason}"
