"""Help when nothing moves: what each worker waits for, and where its coroutine stands; by itself after a while, or on SIGUSR1."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asyncrun.aio.worker_state import WorkerState
from asyncrun.clock import Clock
from asyncrun.humanize import duration

BusyWorkers = Callable[[], Iterable[WorkerState]]
"""Returns the workers that hold a job at the moment."""


def suspended_at(job: object) -> str:
    """Return where a suspended coroutine stands: `file:line in function` of its innermost frame.

    >>> async def inner(): await asyncio.sleep(0)
    >>> async def outer(): await inner()
    >>> coroutine = outer(); coroutine.send(None); suspended_at(coroutine).endswith(" in __sleep0")
    True
    >>> coroutine.close()
    """
    frame, here = None, job
    while here is not None:
        frame = _part(here, "frame") or frame
        here = _part(here, "await") or _part(here, "yieldfrom")
    if frame is None:
        return "not begun or ended"
    return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}"


def _part(job: object, name: str) -> Any:
    return next((part for prefix in ("cr", "gi", "ag") if (part := getattr(job, f"{prefix}_{name}", None)) is not None), None)


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-2:])


def render_workers(workers: Iterable[WorkerState], now: float) -> list[str]:
    """Return a line for each kind of standstill, the most frequent first; `now` is monotonic.

    A line says how many workers wait for the same thing in the same place, and the job that has been at it for longest.
    """
    groups: Counter[tuple[str, str]] = Counter()
    oldest: dict[tuple[str, str], WorkerState] = {}
    for worker in workers:
        group = (worker.waits_for or "its own work", suspended_at(worker.job))
        groups[group] += 1
        oldest[group] = min(oldest.get(group, worker), worker, key=lambda one: one.start)
    return [
        f"{count} x waiting for {reason} at {place} (job {worker.index} for {duration(round(now - worker.start))})"
        for (reason, place), count in groups.most_common()
        for worker in (oldest[reason, place],)
    ]


def render_report(workers: BusyWorkers, clock: Clock, limiters: Iterable[str | None] = ()) -> str:
    """Return the lines of `render_workers` as one text; `limiters` adds what limiters wait for (`Limiter.waiting`)."""
    lines = render_workers(workers(), clock.monotonic()) or ["no job is running"]
    return "\n".join([*lines, *(f"limiter: {reason}" for reason in limiters if reason)])


def describe_wait(workers: Iterable[WorkerState]) -> str | None:
    """Return in words what holds a job up: a limit, as soon as one of its workers stands in line; another wait, when no worker is at work.

    >>> from asyncrun.clock import SystemClock
    >>> describe_wait([WorkerState(SystemClock(), waits_for="limiter", words=lambda: "rate limit 3 s"), WorkerState(SystemClock())])
    'rate limit 3 s'
    """
    workers = list(workers)
    told = [(worker, words) for worker in workers if worker.words is not None and (words := worker.words()) is not None]
    limits = [words for worker, words in told if worker.waits_for in ("limiter", "gate")]
    return next(iter(limits or ([words for _, words in told] if all(worker.idle for worker in workers) else [])), None)


async def watch_waits(workers: BusyWorkers, tell: Callable[[str | None], None], *, clock: Clock) -> None:
    """Tell what holds a job up, every second, changed or not: it is a sign of life too. Runs until it is cancelled."""
    while True:
        await clock.sleep(1.0)
        tell(describe_wait(workers()))


async def watch_stalls(
    workers: BusyWorkers, finished: Callable[[], int], tell: Callable[[str], None], *, clock: Clock, after: float = 60.0
) -> None:
    """Tell once per standstill that nothing has finished for `after` seconds, and what the workers do. Runs until it is cancelled.

    `finished` returns how many jobs have ended so far. A run without a job in a worker does not stand still.
    """
    seen, since, told = finished(), clock.monotonic(), False
    while True:
        await clock.sleep(after / 4)
        count, now = finished(), clock.monotonic()
        busy = list(workers())
        if count != seen or not busy:
            seen, since, told = count, now, False
        elif not told and now - since >= after:
            told = True
            tell("\n".join([f"nothing has finished for {duration(round(now - since))}:", *render_workers(busy, now)]))


@contextmanager
def report_on_signal(show: Callable[[], None]) -> Iterator[bool]:
    """Call `show` on each SIGUSR1 while the block runs, inside a running event loop.

    Yields whether it is so: not off the main thread, nor where the loop cannot (Windows).
    """
    number = getattr(signal, "SIGUSR1", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield False
        return
    loop, former = asyncio.get_running_loop(), signal.getsignal(number)
    loop.add_signal_handler(number, show)
    try:
        yield True
    finally:
        loop.remove_signal_handler(number)
        signal.signal(number, former)
