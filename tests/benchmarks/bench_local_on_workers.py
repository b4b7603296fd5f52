"""The local model in two worker processes against one process on one core: how many times as fast it may be, and was.

    python tests/benchmarks/bench_local_on_workers.py [--texts 320] [--rounds 4]

Each measurement is a process of its own, after a batch that starts workers and loads the model; the two ways take turns, first one, then
the other. "By CPU" is the CPU of the process on one core over that of the busier worker: what two free cores would give, whatever else the
machine does. "By the clock" is what this machine gave, of each way the least of the rounds. Linux. Target: 1.7 by CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from asyncrun.embedders.interface import Embedder
from asyncrun.embedders.local_embedder import LocalEmbedding
from asyncrun.embedders.on_workers import EmbedderPart, WorkerEmbedder
from asyncrun.executors.processes import ProcessExecutor
from asyncrun.packing import BatchLimits

BATCH = BatchLimits(max_items=16)
WORKERS = 2
TARGET = 1.7


def texts(count: int) -> list[str]:
    """Return texts of about a hundred tokens, no two alike."""
    return [f"{'the quick brown fox jumps over the lazy dog and goes on for a while, ' * 6}{number}" for number in range(count)]


async def embed(embedder: Embedder, sent: list[str]) -> None:
    free = asyncio.Semaphore(embedder.workers)

    async def one(batch: list[str]) -> None:
        async with free:
            (await embedder.aembed(batch)).or_raise()

    await asyncio.gather(*(one(sent[start : start + 16]) for start in range(0, len(sent), 16)))


def cpu_of(process: str) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def workers() -> list[str]:
    """Return the numbers of the processes that this one has started."""
    return [child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()]


async def on_one_core(count: int) -> tuple[float, float]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    async with LocalEmbedding(threads=1, batch=BATCH) as embedder:
        await embed(embedder, texts(16))
        clock, cpu = time.perf_counter(), time.process_time()
        await embed(embedder, texts(count))
        return time.perf_counter() - clock, time.process_time() - cpu


async def on_workers(count: int) -> tuple[float, float]:
    executor = ProcessExecutor(WORKERS)
    try:
        async with LocalEmbedding(threads=1, batch=BATCH) as here:
            embedder = WorkerEmbedder(here, executor, EmbedderPart("local", BATCH, pickle.dumps({"threads": 1})))
            while len(workers()) < WORKERS:
                await asyncio.gather(*(embed(embedder, texts(16)) for _ in range(2 * WORKERS)))
            clock, before = time.perf_counter(), {each: cpu_of(each) for each in workers()}
            await embed(embedder, texts(count))
            return time.perf_counter() - clock, max(cpu_of(each) - cpu for each, cpu in before.items())
    finally:
        await executor.aclose()


WAYS = {"one": on_one_core, "two": on_workers}


def measured(way: str, count: int) -> tuple[float, float]:
    """Return seconds by the clock and of CPU, measured in a process of its own."""
    ended = subprocess.run([sys.executable, __file__, "--way", way, "--texts", str(count)], check=True, capture_output=True, text=True)
    clock, cpu = json.loads(ended.stdout)
    return clock, cpu


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(asyncio.run(WAYS[arguments.way](arguments.texts))))
        return
    found: dict[str, list[tuple[float, float]]] = {"one": [], "two": []}
    for number in range(arguments.rounds):
        for way in ("one", "two") if number % 2 else ("two", "one"):
            found[way].append(measured(way, arguments.texts))
    least = {way: tuple(map(min, zip(*rounds, strict=True))) for way, rounds in found.items()}
    with suppress(OSError):
        print(f"{arguments.texts} texts, {arguments.rounds} rounds, load average {os.getloadavg()[0]:.1f}\n")
    print("| | clock s | CPU s of the busier process |\n|---|---|---|")
    for way, name in {"one": "one process on one core", "two": f"{WORKERS} workers"}.items():
        print(f"| {name} | {least[way][0]:.2f} | {least[way][1]:.2f} |")
    by_clock, by_cpu = (least["one"][each] / least["two"][each] for each in (0, 1))
    print(f"\nBy the clock {by_clock:.2f} times as fast, by CPU {by_cpu:.2f} (target {TARGET}).")


if __name__ == "__main__":
    main()
