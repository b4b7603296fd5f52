"""The pool: runs many jobs and yields an outcome for each, as far ahead as the consumer can follow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextvars import copy_context
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Literal, TypeVar

from asyncrun.aio.drive import Job
from asyncrun.aio.slot import Slot
from asyncrun.aio.source import Jobs, open_source
from asyncrun.aio.workers import Workers
from asyncrun.clock import Clock, SystemClock

__all__ = ["Job", "Jobs", "Outcome", "Outcomes", "outcomes"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How one job ended.

    `index` is its place in the input, from 0. `error` is None when it succeeded, and then `value` is what it returned. `attempts` counts
    tries that were reported (`asyncrun.aio.slot.count_attempt`), 1 at least. `start` is a time of the clock's `monotonic`; `wait` are
    seconds in which it waited for permission (a limiter, a backoff, as reported with `waiting`), `run` all other seconds from then on.
    """

    index: int
    value: T | None
    error: BaseException | None
    attempts: int
    start: float
    wait: float
    run: float

    def result(self) -> T:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # None is a value of T when the job returned it


def outcomes(
    jobs: Jobs[T],
    *,
    workers: int = 4,
    order: Literal["input", "completed"] = "input",
    timeout: float | None = None,
    on_error: Literal["raise", "collect"] = "raise",
    ahead: int | None = None,
    patience: float = 30.0,
    clock: Clock | None = None,
) -> Outcomes[T]:
    """Run jobs, `workers` at a time, and yield an outcome for each.

    Args:
        jobs: awaitables, or callables without arguments that return one, from any iterable or asynchronous iterable. It is read as
            slots free up, so it may be endless; it is read on the event loop, so it should not block.
        workers: jobs at once, 1 at least.
        order: `input`, or `completed` as they end.
        timeout: seconds that one job may take; then it is cancelled and its error is a TimeoutError.
        on_error: `raise` stops at the first error: what runs is cancelled and awaited, coroutines that have not begun are closed, and
            the error itself is raised, after the outcomes that were there before it. `collect` yields errors as outcomes; an error of
            the iterable is raised after those of the jobs that had begun. SystemExit and KeyboardInterrupt always stop everything.
        ahead: how many jobs may have begun without their outcomes being taken, `workers` at least; by default twice as many. This
            bounds memory, and in input order how far the others go on while the first one is slow.
        patience: seconds that a cancelled job has for its cleanup before it is cancelled again; the third time it is closed.
        clock: what seconds are measured with.

    Raises ValueError for numbers that are too small, TypeError when `jobs` cannot be iterated over.

    Each job runs in its own copy of the caller's context. Use it as a context manager where leaving early must not return before all
    is cleaned up; a plain `break` cancels what runs too, but does not wait for it.

    >>> async def double(number: int) -> int:
    ...     return 2 * number
    >>> async def main() -> list[int]:
    ...     async with outcomes((double(number) for number in range(10**9)), workers=2) as stream:
    ...         async for outcome in stream:
    ...             if outcome.index == 3:
    ...                 return [outcome.index, outcome.result()]
    ...     return []
    >>> asyncio.run(main())
    [3, 6]
    """
    source = open_source(jobs, copy_context())
    ahead = 2 * workers if ahead is None else ahead
    try:
        if workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        if ahead < workers:
            raise ValueError(f"ahead must be as many as the workers ({workers}) or more, not {ahead}")
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout must be more than 0 seconds, not {timeout}")
        if order not in ("input", "completed") or on_error not in ("raise", "collect"):
            raise ValueError(f"order must be input or completed, on_error raise or collect, not {order!r} and {on_error!r}")
    except ValueError:
        source.close()
        raise
    buffer: _Buffer[T] = _Buffer(in_order=order == "input")
    crew = Workers(
        source,
        workers,
        buffer.put,
        clock=clock or SystemClock(),
        collect=on_error == "collect",
        timeout=timeout,
        patience=patience,
    )
    buffer.filled = crew.notify
    return Outcomes(crew, buffer, ahead)
