"""What an embed job costs beside its requests, each measurement in a process of its own: `measured_job.py WHAT '{...}'` prints JSON."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from asyncrun.aio.attempts import with_retries
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import CircuitBreaker, FailureClass, RetryBudget, RetryPolicy
from asyncrun.aio.stop import StopRequest
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import SystemClock
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.grammar.shard import Shard
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.embed.run import EmbedRun
from asyncrun.jobs.items import Items
from asyncrun.jobs.outputs import JobOutput
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.packing import BatchLimits
from asyncrun.ports import Progress
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.item_source import ItemSource
from asyncrun.records import Embedded, InputType, Space
from asyncrun.redact import Redactor
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.usage import Usage
from asyncrun.writers.interface import open_writer

IN_FLIGHT = 64
LATENCY = 0.005
"""Seconds that an answer takes: long enough that calls are in flight beside each other."""
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "rain",
    "falls",
    "on",
    "an",
    "old",
    "stone",
    "bridge",
]


class AnsweredAtOnce(BaseEmbedding):
    """Does for a request what the driver does of it: writes its body, waits for a permit, and gets an array back."""

    provider = "simulated"

    def __init__(self, dimensions: int, batch: int) -> None:
        super().__init__(model="m", batch=BatchLimits(max_items=batch), workers=IN_FLIGHT)
        self.marks: list[tuple[float, float, float]] = []
        self.ended = readings()
        self._clock, self._rng = SystemClock(), random.Random(1)
        self._limiter = Limiter(Limits(concurrency=IN_FLIGHT), self._clock, self._rng, adaptive=False)
        self._budget, self._circuit, self._policy = RetryBudget(), CircuitBreaker(), RetryPolicy()
        self._vectors = np.random.default_rng(1).normal(size=(batch, dimensions)).astype(np.float32)

    def space(self, input_type: InputType) -> Space:
        return Space(self.provider, self.model_name)

    async def _embed(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> Embedded:
        if not self.marks:
            self.marks.append(readings())
        orjson.dumps({"model": self.model_name, "input": texts})
        await with_retries(
            partial(self._attempt),
            policy=self._policy,
            budget=self._budget,
            circuit=self._circuit,
            limiter=self._limiter,
            clock=self._clock,
            rng=self._rng,
            tokens=1.0,
            inputs=len(texts),
            classify=lambda error: (FailureClass.CONFIG, None),
        )
        self.ended = readings()
        return Embedded(self._vectors[: len(texts)], tuple(range(len(texts))), usage=Usage(1, 0, sum(map(len, texts)) // 4))

    async def _attempt(self, _: int) -> None:
        await self._clock.sleep(LATENCY)


def readings() -> tuple[float, float, float]:
    """Return seconds of the wall, of all threads' CPU and of this thread's."""
    return time.perf_counter(), time.process_time(), time.thread_time()


def texts(items: int, size: int) -> Iterator[str]:
    rng = random.Random(1)
    for number in range(items):
        start = rng.randrange(len(WORDS))
        words = (WORDS[start:] + WORDS) * (size // 80 + 1)
        yield f"{number} {' '.join(words)}"[:size]


def peak_bytes() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def job(items: int, dimensions: int, batch: int, size: int, shards: int = 1) -> dict[str, Any]:
    """Run an embed job, or the first of its shards; returns seconds of its three phases, and its peak of memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "in.jsonl").open("wb") as file:
            file.writelines(orjson.dumps({"id": f"n{number}", "text": text}) + b"\n" for number, text in enumerate(texts(items, size)))
        return asyncio.run(_run_job(folder, Shard(1, shards), dimensions, batch))


async def _run_job(folder: Path, shard: Shard, dimensions: int, batch: int) -> dict[str, Any]:
    ledger, embedder, path = Ledger(folder / "ledger.db"), AnsweredAtOnce(dimensions, batch), folder / "out.npy"
    recorder = TraceRecorder(folder / "traces.db", Redactor())
    recorder.open()
    recorder.begin_run(job_file="jobs.yaml")
    context = JobContext("job", "job", ledger, StopRequest(), SystemClock(), CallbackManager([recorder]))
    source = DistinctSource(ItemSource(folder, ("in.jsonl",)), shard=shard)
    output = JobOutput(path, "out.npy", "npy", lambda: open_writer(path))
    began = readings()
    result = await EmbedRun(Items(source, embedder, InputType.DOCUMENT, "fail", context), output).run(Progress())
    ended = readings()
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()
    ledger.close()
    assert result.counts.ok == result.counts.items > 0, result
    points = [began, embedder.marks[0], embedder.ended, ended]
    names = ("scan", "send", "output")
    phases = {phase: [b - a for a, b in zip(points[at], points[at + 1], strict=True)] for at, phase in enumerate(names)}
    sizes = {f"{file.stem}_bytes": file.stat().st_size for file in (folder / "ledger.db", path, folder / "traces.db")}
    return {**phases, **sizes, "peak": peak_bytes(), "items": result.counts.ok}


def ledger(items: int, dimensions: int, batch: int) -> dict[str, Any]:
    """Fill a ledger as batches come, then read which keys are finished."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(batch, dimensions)).astype(np.float32)
    numbers = iter(range(items // batch))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ledger.db"
        kept = Ledger(path)

        async def put() -> None:
            for _ in numbers:
                joined = rng.bytes(16 * batch)
                keys = [joined[at : at + 16] for at in range(0, len(joined), 16)]
                await kept.put(Space("simulated", "m"), Finished(keys, vectors, [0] * batch))

        async def put_all() -> None:
            await asyncio.gather(*(put() for _ in range(IN_FLIGHT)))

        began = readings()
        asyncio.run(put_all())
        filled, before = readings(), peak_bytes()
        index = kept.index(Space("simulated", "m"))
        read = readings()
        kept.close()
        size = sum(file.stat().st_size for file in path.parent.iterdir())
    written = [b - a for a, b in zip(began, filled, strict=True)]
    looked = [b - a for a, b in zip(filled, read, strict=True)]
    return {"write": written, "index": looked, "keys": len(index), "bytes": size, "before": before, "peak": peak_bytes()}


def model(size: int, count: int) -> dict[str, Any]:
    """Embed texts with the model that is part of the package, on one thread."""
    from asyncrun.embedders.local_embedder import LocalEmbedding

    async def embed() -> float:
        async with LocalEmbedding(threads=1) as embedder:
            await embedder.aembed(["warm up"])
            began = time.process_time()
            await embedder.aembed(list(texts(count, size)))
            return time.process_time() - began

    return {"seconds": asyncio.run(embed()), "dimensions": LocalEmbedding().dimensions}


if __name__ == "__main__":
    measure = {"job": job, "ledger": ledger, "model": model}[sys.argv[1]]
    print(json.dumps(measure(**json.loads(sys.argv[2]))))
