"""How long `asyncrun trace` takes after a large and a small run: `python tests/benchmarks/bench_trace.py` prints a Markdown table.

Each command is a process of its own, from its start to its end, and all take turns: the least of some rounds counts. The runs are recorded
here: a program that makes a job of every item, and a job file's embed job with a request for every hundred items.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from asyncrun.aio.jobs import run_jobs
from asyncrun.callbacks import CallbackManager, CBEventType
from asyncrun.redact import Redactor
from asyncrun.trace.recorder import TraceRecorder

SIZES = (100, 1_000_000)
ROUNDS = 15
ITEMS_A_REQUEST = 100
VIEWS = ("show", "timeline", "slow", "errors")


async def nothing() -> None:
    pass


def a_job_an_item(manager: CallbackManager, items: int) -> None:
    """Make a job of every item."""
    asyncio.run(run_jobs((nothing() for _ in range(items)), workers=16, callback_manager=manager))


def an_embed_job(manager: CallbackManager, items: int) -> None:
    """Tell what an embed job tells: a request for every hundred items, one in a thousand of which fails."""
    rng = random.Random(7)
    with manager.event(CBEventType.ASYNC_JOB, payload={"name": "notes", "kind": "embed"}) as job:
        for number in range(max(items // ITEMS_A_REQUEST, 1)):
            with manager.event(CBEventType.EMBEDDING, payload={"items": ITEMS_A_REQUEST, "model_name": "small"}) as event:
                waits = {f"waits.{name}": rng.random() for name in ("queue", "rate", "request", "write")}
                failed = {"status": "failed", "error.type": "ServerError"} if number % 1000 == 999 else {}
                event.on_end(payload={"tokens": 5000, "retries": number % 3, **waits, **failed})
        job.on_end(payload={"items": items, "tokens": items * 50})


def record(state: Path, work: Callable[[CallbackManager, int], None], items: int) -> None:
    """Record a run into a state folder."""
    state.mkdir(parents=True)
    recorder = TraceRecorder(state / "traces.db", Redactor())
    recorder.open()
    recorder.begin_run(job_file="jobs.yaml")
    manager = CallbackManager([recorder])
    with manager.as_trace("run"):
        work(manager, items)
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()


def seconds(state: Path, view: str) -> tuple[float, float]:
    """Return wall and CPU seconds of one command."""
    command = [sys.executable, "-m", "asyncrun", "trace", view, "--state-dir", str(state)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "120"})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table."""
    print("| | 100 items | 1,000,000 items | wall | CPU | bytes of the larger store |\n|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        for work in (a_job_an_item, an_embed_job):
            states = [Path(name) / work.__name__ / str(items) for items in SIZES]
            for state, items in zip(states, SIZES, strict=True):
                record(state, work, items)
            size = (states[1] / "traces.db").stat().st_size
            for view in VIEWS:
                took = [(float("inf"), float("inf"))] * 2
                for _ in range(ROUNDS):
                    for index, state in enumerate(states):
                        wall, cpu = seconds(state, view)
                        took[index] = (min(took[index][0], wall), min(took[index][1], cpu))
                few, many = took
                ratios = f"{many[0] / few[0]:.2f} x | {many[1] / few[1]:.2f} x"
                print(f"| {work.__name__.replace('_', ' ')}: `trace {view}` | {few[0]:.3f} s | {many[0]:.3f} s | {ratios} | {size:,} |")


if __name__ == "__main__":
    main()
