"""Microseconds per event pair: no handler, LlamaDebugHandler, TraceRecorder, and LlamaIndex's where it is installed.

Run: python tests/benchmarks/bench_callbacks.py [PAIRS]
"""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asyncrun.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from asyncrun.redact import Redactor
from asyncrun.trace.recorder import TraceRecorder

Measured = tuple[float, float]
"""Microseconds of CPU time per pair: of the caller's thread, and of the whole process."""


def measure(manager: Any, event_type: Any, pairs: int, settle: Callable[[], None] = lambda: None) -> Measured:
    """Time `pairs` events with a small payload; `settle` waits for what happens off the caller's thread."""
    gc.collect()
    began, used = time.thread_time(), time.process_time()
    for number in range(pairs):
        with manager.event(event_type, payload={"items": number}) as event:
            event.on_end(payload={"tokens": number})
    called = time.thread_time() - began
    settle()
    return called / pairs * 1e6, (time.process_time() - used) / pairs * 1e6


def ours_alone(pairs: int) -> Measured:
    """No handler at all."""
    return measure(CallbackManager(), CBEventType.ASYNC_JOB, pairs)


def ours_debug(pairs: int) -> Measured:
    """Our debug handler, which keeps every event."""
    return measure(CallbackManager([LlamaDebugHandler(print_trace_on_end=False)]), CBEventType.ASYNC_JOB, pairs)


@contextmanager
def recorder() -> Iterator[TraceRecorder]:
    """A recorder with a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = TraceRecorder(Path(folder) / "traces.db", Redactor())
        recorder.open()
        recorder.begin_run()
        yield recorder
        recorder.close()


def ours_recorded(pairs: int) -> Measured:
    """The recorder, with everything written to the store."""
    with recorder() as handler:
        return measure(CallbackManager([handler]), CBEventType.ASYNC_JOB, pairs, handler.flush)


def theirs_alone(pairs: int) -> Measured:
    """LlamaIndex's manager without a handler."""
    from llama_index.core.callbacks import CallbackManager as Theirs
    from llama_index.core.callbacks import CBEventType as TheirType

    return measure(Theirs([]), TheirType.QUERY, pairs)


def theirs_debug(pairs: int) -> Measured:
    """LlamaIndex's manager with its debug handler."""
    from llama_index.core.callbacks import CallbackManager as Theirs
    from llama_index.core.callbacks import CBEventType as TheirType
    from llama_index.core.callbacks import LlamaDebugHandler as TheirDebug

    return measure(Theirs([TheirDebug(print_trace_on_end=False)]), TheirType.QUERY, pairs)


def main(pairs: int) -> None:
    """Print the median of five alternating rounds of each."""
    ways = [ours_alone, ours_debug, ours_recorded]
    try:
        import llama_index.core  # noqa: F401
    except ImportError:
        print("llama-index-core is not installed: ours only")
    else:
        ways += [theirs_alone, theirs_debug]
    # What is imported is not walked again and again by the garbage collector: it would be charged to whoever allocates.
    gc.collect()
    gc.freeze()
    rounds: dict[str, list[Measured]] = {way.__name__: [] for way in ways}
    for _ in range(5):
        for way in ways:
            rounds[way.__name__].append(way(pairs))
    print(f"{pairs} pairs, CPU us a pair: the caller's thread, the process")
    for name, measured in rounds.items():
        caller, cpu = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{name:16} {caller:8.2f} {cpu:8.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
