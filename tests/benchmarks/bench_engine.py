"""The engine against LlamaIndex, gather and a semaphore, TaskGroup and aiometer: time per job, and memory of a million jobs.

Run: python tests/benchmarks/bench_engine.py [JOBS]

Prints Markdown. Times are CPU microseconds of this process per job, the least of some rounds in which all take turns, so that other load on
the machine disturbs little; trust the ratios, which are to LlamaIndex's `run_jobs` in the same rounds. Bars are drawn on a terminal that
is made for it. Memory is what the peak grows by, each case in a process of its own. A peer that is not installed is left out.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import io
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.pool import outcomes

WORKERS = 64
ROUNDS = 5
MILLION = 1_000_000

Job = Callable[[int], Coroutine[Any, Any, int]]
Way = Callable[[Iterable[Any]], Awaitable[int]]
"""Runs coroutines (aiometer: functions that make them) and returns how many results there were."""


async def nothing(number: int) -> int:
    return number


async def one_turn(number: int) -> int:
    await asyncio.sleep(0)
    return number


async def ours(jobs: Iterable[Any]) -> int:
    return len(await run_jobs(jobs, workers=WORKERS))


async def ours_with_bar(jobs: Iterable[Any]) -> int:
    return len(await run_jobs(jobs, workers=WORKERS, show_progress=True))


async def ours_streamed(jobs: Iterable[Any]) -> int:
    count = 0
    async with outcomes(jobs, workers=WORKERS) as stream:
        async for _ in stream:
            count += 1
    return count


async def llama_index(jobs: Iterable[Any]) -> int:
    from llama_index.core.async_utils import run_jobs as theirs

    return len(await theirs(jobs, workers=WORKERS))  # type: ignore[arg-type]


async def llama_index_with_bar(jobs: Iterable[Any]) -> int:
    from llama_index.core.async_utils import run_jobs as theirs

    return len(await theirs(jobs, workers=WORKERS, show_progress=True))  # type: ignore[arg-type]


async def gather(jobs: Iterable[Any]) -> int:
    semaphore = asyncio.Semaphore(WORKERS)

    async def guarded(job: Awaitable[int]) -> int:
        async with semaphore:
            return await job

    return len(await asyncio.gather(*[guarded(job) for job in jobs]))


async def task_group(jobs: Iterable[Any]) -> int:
    semaphore = asyncio.Semaphore(WORKERS)

    async def guarded(job: Awaitable[int]) -> int:
        async with semaphore:
            return await job

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(guarded(job)) for job in jobs]
    return len([task.result() for task in tasks])


async def aiometer(jobs: Iterable[Any]) -> int:
    import aiometer

    return len(await aiometer.run_all(list(jobs), max_at_once=WORKERS))


WAYS: dict[str, tuple[Way, str | None]] = {
    "LlamaIndex run_jobs": (llama_index, "llama_index"),
    "asyncrun run_jobs": (ours, None),
    "asyncrun outcomes": (ours_streamed, None),
    "gather + semaphore": (gather, None),
    "TaskGroup + semaphore": (task_group, None),
    "aiometer run_all": (aiometer, "aiometer"),
    "LlamaIndex run_jobs, progress": (llama_index_with_bar, "llama_index"),
    "asyncrun run_jobs, progress": (ours_with_bar, None),
}
REFERENCES = {"asyncrun run_jobs, progress": "LlamaIndex run_jobs, progress"}
MEMORY: dict[str, tuple[Way, str | None, int]] = {
    "asyncrun run_jobs": (ours, None, MILLION),
    "asyncrun outcomes, 10,000 jobs": (ours_streamed, None, 10_000),
    "asyncrun outcomes, 1,000,000 jobs": (ours_streamed, None, MILLION),
    "LlamaIndex run_jobs": (llama_index, "llama_index", MILLION),
    "gather + semaphore": (gather, None, MILLION),
    "TaskGroup + semaphore": (task_group, None, MILLION),
    "aiometer run_all": (aiometer, "aiometer", MILLION),
}


def installed(package: str | None) -> bool:
    return package is None or importlib.util.find_spec(package) is not None


def left_out() -> str:
    missing = sorted({package for _, package in WAYS.values() if not installed(package)} - {None}, key=str)
    return "".join(f"\nleft out, not installed: {package}" for package in missing)


@contextmanager
def terminal() -> Iterator[None]:
    """Let stderr be a terminal for a while, whose output is thrown away."""
    os.environ.setdefault("TERM", "xterm-256color")
    leader, follower = pty.openpty()

    def drain() -> None:
        while True:
            try:
                if not os.read(leader, 65536):
                    return
            except OSError:
                return

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    before, sys.stderr = sys.stderr, io.TextIOWrapper(io.FileIO(follower, "w"), write_through=True)
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = before
        thread.join()
        os.close(leader)


def made(way: Way, job: Job, jobs: int) -> Iterator[Any]:
    return (partial(job, number) if way is aiometer else job(number) for number in range(jobs))


def measure(way: Way, job: Job, jobs: int) -> float:
    """Return CPU microseconds per job; making the jobs is not counted."""
    prepared = list(made(way, job, jobs))
    gc.collect()
    with terminal():
        began = time.process_time()
        done = asyncio.run(way(prepared))  # type: ignore[arg-type]
        used = time.process_time() - began
    assert done == jobs
    return used / jobs * 1e6


def time_table(title: str, job: Job, jobs: int) -> None:
    ways = {name: way for name, (way, package) in WAYS.items() if installed(package)}
    least: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            least[name] = min(measure(way, job, jobs), least.get(name, float("inf")))
    print(f"\n{title}, {jobs:,} jobs, {WORKERS} workers\n\n| | us a job | times lighter than LlamaIndex's |\n|---|---|---|")
    for name in ways:
        reference = least.get(REFERENCES.get(name, "LlamaIndex run_jobs"))
        print(f"| {name} | {least[name]:.2f} | {f'{reference / least[name]:.1f}' if reference else ''} |")


def grown(way: Way, jobs: int) -> float:
    """Return megabytes by which the peak of this process grows; a small run first brings in what is imported on use."""
    asyncio.run(way(made(way, nothing, 10)))  # type: ignore[arg-type]
    before = peak()
    asyncio.run(way(made(way, nothing, jobs)))  # type: ignore[arg-type]
    return peak() - before


def peak() -> float:
    # Not ru_maxrss: a child inherits it from the process that started it.
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def memory_table() -> None:
    print("\nMemory: jobs that do nothing, from a generator\n\n| | jobs | MB at the peak |\n|---|---|---|")
    for name, (_, package, jobs) in MEMORY.items():
        if installed(package):
            command = [sys.executable, __file__, "--memory", name]
            print(f"| {name} | {jobs:,} | {float(subprocess.run(command, check=True, capture_output=True).stdout):.1f} |", flush=True)


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--memory"]:
        way, _, jobs = MEMORY[arguments[1]]
        print(grown(way, jobs))
        return
    jobs = int(arguments[0]) if arguments else 100_000
    print(f"Python {sys.version.split()[0]}{left_out()}")
    time_table("Jobs that do nothing", nothing, jobs)
    time_table("Jobs that wait for one turn of the loop", one_turn, jobs)
    memory_table()


if __name__ == "__main__":
    main(sys.argv[1:])
