"""Items that cannot be sent are told before the others are, so that whoever watches can mend them meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asyncrun.aio.stop import StopRequest
from asyncrun.callbacks.base import CallbackManager
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.embed.run import EmbedRun
from asyncrun.jobs.items import Items
from asyncrun.jobs.outputs import JobOutput
from asyncrun.ledger.ledger import Ledger
from asyncrun.packing import BatchLimits
from asyncrun.ports import Progress
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.item_source import ItemSource
from asyncrun.records import Embedded, InputType, ItemFailure, Space
from asyncrun.testing.clock import FakeClock
from asyncrun.writers.jsonl import JsonlWriter


class Told(Progress):
    """Keeps what is told and sent, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        self.log.append(f"{failure.reason} in line {failure.place.line}")


class Sending(BaseEmbedding):
    """Writes down what it is sent."""

    def __init__(self, log: list[str]) -> None:
        super().__init__(model="m", batch=BatchLimits(max_items=1), workers=1)
        self.log = log

    def space(self, input_type: InputType) -> Space:
        return Space("sending", self.model_name)

    async def _embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        self.log += texts
        return Embedded(np.ones((len(texts), 2), dtype=np.float32), tuple(range(len(texts))), ())


def test_what_fails_by_itself_is_told_once_and_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "one"}\n{"txt": "x"}\n{"text": "two"}\n{broken\n')
    ledger, progress = Ledger(tmp_path / "ledger.db", warn=lambda words: None), Told()
    context = JobContext("job", "jobs.yaml/job", ledger, StopRequest(), FakeClock(), CallbackManager())
    source = DistinctSource(ItemSource(tmp_path, ("rows.jsonl",)))
    output = JobOutput(tmp_path / "out.jsonl", "out.jsonl", "jsonl", lambda: JsonlWriter(tmp_path / "out.jsonl"))
    try:
        run = EmbedRun(Items(source, Sending(progress.log), InputType.DOCUMENT, "fail", context), output)
        counts = asyncio.run(run.run(progress)).counts
    finally:
        ledger.close()
    assert progress.log == ["bad_record in line 2", "bad_record in line 4", "one", "two"]
    assert (counts.ok, counts.failed) == (2, 2)
