"""A run reads its input once, and once more where an output is streamed from it; a text is hashed as often as it is read."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from asyncrun.aio.stop import StopRequest
from asyncrun.callbacks.base import CallbackManager
from asyncrun.chunkers.interface import WholeChunker
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.embed.run import EmbedRun
from asyncrun.jobs.ingest.run import IngestRun
from asyncrun.jobs.ingest.store_sync import StoreSync, StoreTarget
from asyncrun.jobs.items import Items
from asyncrun.jobs.outputs import JobOutput
from asyncrun.ledger.ledger import Ledger
from asyncrun.packing import BatchLimits
from asyncrun.ports import Progress
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.interface import Stopped
from asyncrun.readers.item_source import ItemSource
from asyncrun.records import BadItem, Embedded, EmbedFailure, InputType, Item, Space
from asyncrun.results import JobResult
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.clock import FakeClock
from asyncrun.writers.jsonl import JsonlWriter

TEXTS = ("one", "two", "one", "three", "two", "refused")


class Counting(BaseEmbedding):
    """Counts how often each text is made ready to be hashed, and what it is sent."""

    def __init__(self) -> None:
        super().__init__(model="m", batch=BatchLimits(max_items=2), workers=1)
        self.hashed: Counter[str] = Counter()
        self.sent: list[str] = []

    def space(self, input_type: InputType) -> Space:
        return Space("counting", self.model_name)

    def as_sent(self, text: str, input_type: InputType) -> str:
        self.hashed[text] += 1
        return super().as_sent(text, input_type)

    async def _embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        self.sent += texts
        taken = tuple(position for position, text in enumerate(texts) if text != "refused")
        failures = tuple(EmbedFailure(position, "refused", "no") for position, text in enumerate(texts) if text == "refused")
        return Embedded(np.ones((len(taken), 2), dtype=np.float32), taken, failures)


class CountingSource(DistinctSource):
    """Counts the passes over an input."""

    passes = 0

    def items(self, stopped: Stopped = lambda: None) -> Iterator[Item | BadItem]:
        self.passes += 1
        return super().items(stopped)


def source_of(folder: Path) -> CountingSource:
    return CountingSource(ItemSource(folder, inline=TEXTS))


@pytest.fixture
def context(tmp_path: Path) -> Iterator[JobContext]:
    ledger = Ledger(tmp_path / "ledger.db", warn=lambda words: None)
    yield JobContext("job", "jobs.yaml/job", ledger, StopRequest(), FakeClock(), CallbackManager())
    ledger.close()


def embed(context: JobContext, folder: Path) -> tuple[JobResult, Counting, CountingSource]:
    embedder, source = Counting(), source_of(folder)
    output = JobOutput(folder / "out.jsonl", "out.jsonl", "jsonl", lambda: JsonlWriter(folder / "out.jsonl"))
    run = EmbedRun(Items(source, embedder, InputType.DOCUMENT, "fail", context), output)
    return asyncio.run(run.run(Progress())), embedder, source


def test_an_embed_job_reads_and_hashes_once_and_once_more_to_write(context: JobContext, tmp_path: Path) -> None:
    result, embedder, source = embed(context, tmp_path)
    assert (result.counts.ok, result.counts.failed) == (5, 1)
    assert embedder.sent == ["one", "two", "three", "refused"]
    assert source.passes == 2
    assert {text: embedder.hashed[text] for text in TEXTS} == Counter(TEXTS + TEXTS)
    assert [json.loads(line)["text"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == list(TEXTS[:5])


def test_a_finished_embed_job_reads_and_hashes_once(context: JobContext, tmp_path: Path) -> None:
    embed(context, tmp_path)
    _, embedder, source = embed(context, tmp_path)
    assert embedder.sent == []
    assert source.passes == 1
    assert embedder.hashed == Counter(TEXTS)


def test_an_ingest_job_reads_its_documents_once(context: JobContext, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "index.db")
    sync = StoreSync(store, StoreTarget("docs", "job", prune=False, max_delete=Threshold(0)), context, lambda: None)
    embedder, source = Counting(), source_of(tmp_path)
    try:
        result = asyncio.run(IngestRun(source, embedder, WholeChunker(), "none", sync, "skip", context).run(Progress()))
        stored = store.marks("docs", "job")
    finally:
        store.close()
    assert (result.counts.ok, result.counts.failed) == (5, 1)
    assert source.passes == 1
    assert len(stored) == 5
    assert {text: embedder.hashed[text] for text in TEXTS} == Counter(TEXTS)
