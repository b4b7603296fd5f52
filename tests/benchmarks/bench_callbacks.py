"""What callbacks, the recorder and its store cost, against LlamaIndex's callbacks where `llama-index-core` is installed.

Run: python tests/benchmarks/bench_callbacks.py [JOBS]

Prints Markdown. Times are CPU microseconds of the whole process (the recorder's thread and its store included), the least of some
rounds in which all take turns, so that other load on the machine disturbs little; trust ratios and differences. The last table reads a
trace of a million jobs, and one of a hundred: wall seconds, the least of some rounds.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asyncrun.aio.attempts import AttemptCounts, with_retries
from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.aio.pool import outcomes
from asyncrun.aio.retry import CircuitBreaker, FailureClass, RetryBudget, RetryPolicy
from asyncrun.callbacks import BaseCallbackHandler, CallbackManager, CBEventType, LlamaDebugHandler
from asyncrun.clock import SystemClock
from asyncrun.redact import Redactor
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.store import TraceStore
from asyncrun.trace.views.runs import render_show

ROUNDS = 7
PAIRS = 20_000
WORKERS = 16

Way = Callable[[int], float]
"""Does something so many times and returns the microseconds of CPU for each."""


@contextmanager
def recorder() -> Iterator[tuple[TraceRecorder, Path]]:
    """A recorder with a store of its own, in the middle of a run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traces.db"
        made = TraceRecorder(path, Redactor())
        made.open()
        made.begin_run(job_file="jobs.yaml")
        try:
            yield made, path
        finally:
            made.close()


# Events: start and end with a small payload -------------------------------------------------------------------------------------------


def pairs(manager: Any, event_type: Any, number: int, settle: Callable[[], Any] = lambda: None) -> float:
    """Time `number` events; `settle` waits for what happens in another thread."""
    gc.collect()
    began = time.process_time()
    for count in range(number):
        with manager.event(event_type, payload={"items": count}) as event:
            event.on_end(payload={"tokens": count})
    settle()
    return (time.process_time() - began) / number * 1e6


def ours_alone(number: int) -> float:
    return pairs(CallbackManager(), CBEventType.QUERY, number)


def ours_debug(number: int) -> float:
    return pairs(CallbackManager([LlamaDebugHandler(print_trace_on_end=False)]), CBEventType.QUERY, number)


def ours_recorded(number: int) -> float:
    with recorder() as (handler, _):
        return pairs(CallbackManager([handler]), CBEventType.QUERY, number, handler.flush)


def theirs_alone(number: int) -> float:
    from llama_index.core.callbacks import CallbackManager as Theirs
    from llama_index.core.callbacks import CBEventType as TheirType

    return pairs(Theirs([]), TheirType.QUERY, number)


def theirs_debug(number: int) -> float:
    from llama_index.core.callbacks import CallbackManager as Theirs
    from llama_index.core.callbacks import CBEventType as TheirType
    from llama_index.core.callbacks import LlamaDebugHandler as TheirDebug

    return pairs(Theirs([TheirDebug(print_trace_on_end=False)]), TheirType.QUERY, number)


# Jobs of a pool that do nothing -------------------------------------------------------------------------------------------------------


async def nothing() -> None:
    pass


async def one_turn() -> None:
    await asyncio.sleep(0)


def jobs(job: Callable[[], Any], manager: CallbackManager, number: int, settle: Callable[[], Any] = lambda: None) -> float:
    """Time `run_jobs`."""
    gc.collect()
    began = time.process_time()
    asyncio.run(run_jobs((job() for _ in range(number)), workers=WORKERS, callback_manager=manager))
    settle()
    return (time.process_time() - began) / number * 1e6


def others(debug: bool) -> list[BaseCallbackHandler]:
    return [LlamaDebugHandler(print_trace_on_end=False)] if debug else []


def unrecorded(job: Callable[[], Any], debug: bool) -> Way:
    return lambda number: jobs(job, CallbackManager(others(debug)), number)


def recorded(job: Callable[[], Any], debug: bool) -> Way:
    def way(number: int) -> float:
        with recorder() as (handler, _):
            manager = CallbackManager([handler, *others(debug)])
            return jobs(job, manager, number, lambda: handler.end_run(status="succeeded", exit_code=0))

    return way


# Batches with their attempts and waits ------------------------------------------------------------------------------------------------


class Refused(Exception):
    """What one of twenty requests gets."""

    status = 503


def batches(manager: CallbackManager, number: int) -> None:
    """Send so many batches to an endpoint that answers at once: eight at a time, four requests in flight."""
    rng, clock = random.Random(1), SystemClock()
    limiter = Limiter(Limits(concurrency=4), clock, rng)
    shared: dict[str, Any] = {"limiter": limiter, "clock": clock, "rng": rng, "circuit": CircuitBreaker(), "budget": RetryBudget(1e9)}
    started = {"model_name": "text-embedding-3-small", "provider": "openai", "server.address": "api.openai.com", "items": 64}

    async def request(_: int) -> None:
        await asyncio.sleep(0)
        if rng.random() < 0.05:
            raise Refused("the server says no, and why")

    async def batch() -> None:
        policy, counts = RetryPolicy(base=0.0005, max_backoff=0.002), AttemptCounts()
        with manager.event(CBEventType.EMBEDDING, payload=started) as event, event.enclosing():
            await with_retries(
                request, policy=policy, tokens=1, inputs=1, classify=lambda error: (FailureClass.TRANSIENT, None), counts=counts, **shared
            )
            payload = {"ok": 64, "dimensions": 1536, "failed": 0, "tokens": 1000, "requests": counts.attempts, "retries": counts.failures}
            event.on_end(payload={**payload, **counts.waits.payload()})

    async def job() -> None:
        with manager.event(CBEventType.ASYNC_JOB, payload={"name": "embed-notes"}):
            async with outcomes((batch for _ in range(number)), workers=8, order="completed") as ended:
                async for outcome in ended:
                    outcome.result()

    asyncio.run(job())


def trace_of_batches(number: int, *unheard: CBEventType) -> tuple[float, int, int]:
    """Record so many batches; return CPU microseconds for each, the spans of the trace and the bytes of its store."""
    with recorder() as (handler, path):
        handler.event_starts_to_ignore = handler.event_ends_to_ignore = unheard
        began = time.process_time()
        batches(CallbackManager([handler]), number)
        handler.end_run(status="succeeded", exit_code=0)
        each = (time.process_time() - began) / number * 1e6
        handler.close()
        with TraceStore(path, read_only=True) as store:
            [run] = store.runs()
            return each, len(store.spans(run.run_id)), path.stat().st_size


# What reads a trace -------------------------------------------------------------------------------------------------------------------


def read_trace(number: int) -> tuple[float, int, int]:
    """Record so many jobs; return the seconds that the picture of the run takes, its spans, and the bytes of the store."""
    with recorder() as (handler, path):
        asyncio.run(run_jobs((nothing() for _ in range(number)), workers=WORKERS, callback_manager=CallbackManager([handler])))
        handler.end_run(status="succeeded", exit_code=0)
        handler.close()
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            with TraceStore(path, read_only=True) as store:
                [run] = store.runs()
                spans = store.spans(run.run_id)
                render_show(run, spans, 120, time.time())
            took.append(time.perf_counter() - began)
        return min(took), len(spans), path.stat().st_size


def least(ways: list[tuple[str, Way]], number: int) -> dict[str, float]:
    """Return the least of some rounds in which all ways take turns."""
    found = {name: float("inf") for name, _ in ways}
    for _ in range(ROUNDS):
        for name, way in ways:
            found[name] = min(found[name], way(number))
    return found


def print_events() -> None:
    ways: list[tuple[str, Way]] = [
        ("asyncrun, no handler", ours_alone),
        ("asyncrun, LlamaDebugHandler", ours_debug),
        ("asyncrun, recorder and store", ours_recorded),
    ]
    try:
        import llama_index.core  # noqa: F401
    except ImportError:
        print("llama-index-core is not installed: ours only.\n")
    else:
        ways += [("LlamaIndex, no handler", theirs_alone), ("LlamaIndex, LlamaDebugHandler", theirs_debug)]
    # What is imported is not walked again and again by the garbage collector: it would be charged to whoever allocates.
    gc.collect()
    gc.freeze()
    found = least(ways, PAIRS)
    print(f"| {PAIRS:,} events | us per event |\n|---|---:|")
    for name, each in found.items():
        print(f"| {name} | {each:.2f} |")
    if "LlamaIndex, LlamaDebugHandler" in found:
        ratio = found["LlamaIndex, LlamaDebugHandler"] / found["asyncrun, LlamaDebugHandler"]
        print(f"\nWith LlamaDebugHandler LlamaIndex takes {ratio:.1f} times as long.")


def print_jobs(number: int) -> None:
    print(f"\n| {number:,} jobs of run_jobs | without | recorded | recorder per job (us) |\n|---|---:|---:|---:|")
    for name, job, debug in (
        ("that do nothing", nothing, False),
        ("that wait one turn of the loop", one_turn, False),
        ("that do nothing, with LlamaDebugHandler", nothing, True),
    ):
        found = least([("without", unrecorded(job, debug)), ("recorded", recorded(job, debug))], number)
        print(f"| {name} | {found['without']:.2f} | {found['recorded']:.2f} | {found['recorded'] - found['without']:.2f} |")


def print_batches(number: int) -> None:
    print(f"\n| {number:,} batches, recorded | us of CPU per batch | spans | bytes of the store |\n|---|---:|---:|---:|")
    ways = {"batches alone": (CBEventType.ATTEMPT, CBEventType.WAIT), "with their attempts and waits": ()}
    for name, unheard in ways.items():
        found = [trace_of_batches(number, *unheard) for _ in range(3)]
        _, spans, size = found[0]
        print(f"| {name} | {min(each for each, *_ in found):.0f} | {spans} | {size:,} |")


def print_reading() -> None:
    few, many = read_trace(100), read_trace(1_000_000)
    print("\n| the trace of | seconds to show it | spans | bytes of the store |\n|---|---:|---:|---:|")
    for name, (seconds, spans, size) in (("100 jobs", few), ("1,000,000 jobs", many)):
        print(f"| {name} | {seconds:.4f} | {spans} | {size:,} |")
    print(f"\nA million takes {many[0] / few[0]:.2f} times as long as a hundred.")


if __name__ == "__main__":
    print_events()
    print_jobs(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    print_batches(10_000)
    print_reading()
