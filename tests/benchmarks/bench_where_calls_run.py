"""When worker processes pay, and when not: the same texts embedded in one process, and on two workers.

    python tests/benchmarks/bench_where_calls_run.py [--texts 20000] [--local-texts 400]

Prints a Markdown table. Over HTTP a server in a process of its own answers after 50 ms; the local model has one thread in each worker. All
ways take turns, and the least of the rounds counts: other load on the machine disturbs little then. CPU is that of the driver, and of its
workers, their start included; the server's is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache

from asyncrun.aio.limits import Limits
from asyncrun.aio.pool import outcomes
from asyncrun.embedders.interface import Embedder
from asyncrun.embedders.local_embedder import LocalEmbedding
from asyncrun.embedders.on_workers import EmbedderPart, WorkerEmbedder
from asyncrun.embedders.provider_classes import OpenAIEmbedding
from asyncrun.executors.processes import ProcessExecutor
from asyncrun.packing import BatchLimits

LATENCY, DIMENSIONS, TEXTS_A_REQUEST, IN_FLIGHT, WORKERS, ROUNDS = 0.05, 1024, 32, 32, 2, 3
LOCAL = BatchLimits(max_items=16)
Opened = Callable[[], AbstractAsyncContextManager[Embedder]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the wall, and of CPU of the driver and of its workers."""

    wall: float
    driver: float
    workers: float


@asynccontextmanager
async def http_here(url: str) -> AsyncIterator[Embedder]:
    async with OpenAIEmbedding(
        model="m", base_url=url, batch=BatchLimits(max_items=TEXTS_A_REQUEST), limits=Limits(concurrency=IN_FLIGHT)
    ) as embedder:
        yield embedder


@asynccontextmanager
async def http_on_workers(url: str) -> AsyncIterator[Embedder]:
    executor = ProcessExecutor(WORKERS)
    try:
        async with http_here(url) as embedder:
            embedder.endpoint.executor = executor
            yield embedder
    finally:
        await executor.aclose()


@asynccontextmanager
async def local_here(threads: int) -> AsyncIterator[Embedder]:
    async with LocalEmbedding(threads=threads, batch=LOCAL) as embedder:
        yield embedder


@asynccontextmanager
async def local_on_workers(workers: int) -> AsyncIterator[Embedder]:
    executor = ProcessExecutor(workers)
    try:
        async with LocalEmbedding(threads=1, batch=LOCAL) as here:
            yield WorkerEmbedder(here, executor, EmbedderPart("local", LOCAL, pickle.dumps({"threads": 1})))
    finally:
        await executor.aclose()


async def measure(embedder: Embedder, texts: list[str]) -> Cost:
    """Embed the texts in batches, as many at a time as the embedder can use; the first of all starts workers and is not counted."""
    size = embedder.batch.max_items
    at_once = max(embedder.workers, 2)
    for each in await asyncio.gather(*(embedder.aembed(["to begin with"]) for _ in range(at_once))):
        each.or_raise()
    before = _readings()
    calls = (embedder.aembed(texts[start : start + size]) for start in range(0, len(texts), size))
    done = 0
    async with outcomes(calls, workers=at_once, order="completed") as answered:
        async for outcome in answered:
            done += len(outcome.result().or_raise().positions)
    assert done == len(texts)
    wall, driver = (after - began for after, began in zip(_readings(), before, strict=True))
    return Cost(wall, driver, 0.0)


def _readings() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def children() -> float:
    """Return the CPU of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def one(opened: Opened, texts: list[str]) -> Cost:
    before = children()
    async with opened() as embedder:
        cost = await measure(embedder, texts)
    return Cost(cost.wall, cost.driver, children() - before)


def serve() -> None:
    """Serve for ever; the vectors are remembered, as a server that computes them would be what is measured."""
    from asyncrun.testing import server
    from asyncrun.testing.__main__ import main as serve_for_ever

    server.base64_of = cache(server.base64_of)  # type: ignore[attr-defined]
    serve_for_ever(["--latency", str(LATENCY), "--dimensions", str(DIMENSIONS)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--local-texts", type=int, default=400)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        url = next(word for word in iter(server.stdout.readline, "") for word in word.split() if word.startswith("http"))  # type: ignore[union-attr]
        table(url, options.texts, options.local_texts)
    finally:
        server.terminate()
        server.wait()


def table(url: str, count: int, local_count: int) -> None:
    texts = [f"note {number % 64}: a short text" for number in range(count)]
    long = [f"note {number}: " + "rain falls on quiet fields near an old stone bridge " * 8 for number in range(local_count)]
    ways = {
        f"HTTP, {count:,} texts: in this process": (lambda: http_here(url), texts),
        f"HTTP, {count:,} texts: on {WORKERS} workers": (lambda: http_on_workers(url), texts),
        f"local model, {local_count:,} texts: in this process, 1 thread": (lambda: local_here(1), long),
        f"local model, {local_count:,} texts: in this process, {WORKERS} threads": (lambda: local_here(WORKERS), long),
        f"local model, {local_count:,} texts: on {WORKERS} workers": (lambda: local_on_workers(WORKERS), long),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        for name in ways if turn % 2 == 0 else reversed(ways):
            costs[name].append(asyncio.run(one(*ways[name])))
    print(f"{os.cpu_count()} cores, {ROUNDS} rounds, load {os.getloadavg()[0]:.1f} at the end\n")
    print("| | seconds | texts a second | driver's CPU | workers' CPU |\n|---|---|---|---|---|")
    for name, found in costs.items():
        wall, driver, workers = (min(getattr(cost, unit) for cost in found) for unit in ("wall", "driver", "workers"))
        print(f"| {name} | {wall:.2f} | {len(ways[name][1]) / wall:,.0f} | {driver:.2f} | {workers:.2f} |")


if __name__ == "__main__":
    main()
