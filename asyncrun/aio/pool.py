"""The pool: runs many jobs and yields an outcome for each, as far ahead as the consumer can follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import copy_context
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Literal, TypeVar

from asyncrun.aio.job_source import AsyncJobSource, Jobs, JobSource, open_source
from asyncrun.aio.worker_state import WorkerState
from asyncrun.aio.workers import Ended, Workers
from asyncrun.clock import Clock, SystemClock
from asyncrun.short_help import ShortHelp

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T], metaclass=ShortHelp):
    """How one job ended.

    `index` is its place in the input, from 0. `error` is None when it succeeded, and then `value` is what it returned. `attempts` counts
    tries that were reported (`asyncrun.aio.worker_state.count_attempt`), 1 at least. `start` is a time of the clock's `monotonic`; `wait`
    are seconds in which it waited for permission (a limiter, a backoff, as reported with `waiting`), `run` all other seconds from then on.

    >>> async def halve(number):
    ...     return 10 / number
    >>> async def main():
    ...     return [outcome async for outcome in outcomes([halve(5), halve(0)], on_error="collect")]
    >>> [outcome.value or repr(outcome.error) for outcome in asyncio.run(main())]
    [2.0, "ZeroDivisionError('division by zero')"]
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
    cleanup_timeout: float = 30.0,
    clock: Clock | None = None,
) -> Outcomes[T]:
    """Run jobs, `workers` at a time, and yield an outcome for each.

    Args:
        jobs: awaitables, or callables without arguments that return one, from any iterable or asynchronous iterable. It is read as
            workers become free, so it may be endless; it is read on the event loop, so it should not block.
        workers: jobs at once, 1 at least.
        order: `input`, or `completed` as they end.
        timeout: seconds that one job may take; then it is cancelled and its error is a TimeoutError.
        on_error: `raise` stops at the first error: what runs is cancelled and awaited, coroutines that have not begun are closed, and
            the error itself is raised, after the outcomes that were there before it. `collect` yields errors as outcomes; an error of
            the iterable is raised after those of the jobs that had begun. SystemExit, KeyboardInterrupt and StopRunError always stop
            everything.
        ahead: how many jobs may have begun without their outcomes being taken, `workers` at least; by default twice as many. This
            bounds memory, and in input order how far the others go on while the first one is slow.
        cleanup_timeout: seconds that a cancelled job has for its cleanup before it is cancelled again; the third time it is closed.
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
    try:
        ahead = 2 * workers if ahead is None else ahead
        _check(workers, ahead, timeout, order, on_error)
    except BaseException:
        source.close()
        raise

    def begin(ended: Ended[T]) -> Workers[T]:
        collect = on_error == "collect"
        return Workers(
            source, workers, ended, clock=clock or SystemClock(), collect=collect, timeout=timeout, cleanup_timeout=cleanup_timeout
        )

    return Outcomes(source, begin, ahead=ahead, in_order=order == "input")


def _check(workers: int, ahead: int, timeout: float | None, order: str, on_error: str) -> None:
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    if ahead < workers:
        raise ValueError(f"ahead must be as many as the workers ({workers}) or more, not {ahead}")
    if timeout is not None and timeout <= 0:
        raise ValueError(f"timeout must be more than 0 seconds, not {timeout}")
    if order not in ("input", "completed"):
        raise ValueError(f"order must be 'input' or 'completed', not {order!r}")
    if on_error not in ("raise", "collect"):
        raise ValueError(f"on_error must be 'raise' or 'collect', not {on_error!r}")


class Outcomes(AsyncIterator[Outcome[T]]):
    """The outcomes of one pool, to be iterated over once, by one task; nothing begins before that. See `outcomes`."""

    def __init__(
        self, source: JobSource[T] | AsyncJobSource[T], begin: Callable[[Ended[T]], Workers[T]], *, ahead: int, in_order: bool
    ) -> None:
        self._source = source
        self._begin = begin
        self._ahead = ahead
        # Not methods of this object: the workers must not keep it, so that it goes when the consumer drops it.
        self._waiting: _Waiting[T] = _Waiting(in_order=in_order)
        self._workers: Workers[T] | None = None
        self._closed = False

    async def __anext__(self) -> Outcome[T]:
        if self._closed:
            raise StopAsyncIteration
        workers = self._workers or self._start()
        try:
            while (outcome := self._waiting.pop()) is None and not (workers.stopping or workers.idle):
                await workers.changed()
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if outcome is not None:
            workers.horizon += 1
            workers.fill()
            return outcome
        await self.aclose()
        workers.raise_failure()
        raise StopAsyncIteration

    def _start(self) -> Workers[T]:
        workers = self._workers = self._begin(self._waiting.put)
        self._waiting.arrived = workers.notify
        workers.horizon = self._ahead
        workers.fill()
        return workers

    async def aclose(self) -> None:
        """Cancel what runs and return when it has cleaned up; coroutines that have not begun are closed. May be called twice."""
        self._closed = True
        if self._workers is None:
            self._source.close()
        else:
            await self._workers.stop()

    async def __aenter__(self) -> Outcomes[T]:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._workers is not None and not self._closed:
            self._workers.abandon()


class _Waiting(Generic[T]):
    """Outcomes that the consumer has not taken."""

    def __init__(self, *, in_order: bool) -> None:
        self.arrived: Callable[[], None] = _nothing
        self._in_order = in_order
        self._put = 0
        self._taken = 0
        self._outcomes: dict[int, Outcome[T]] = {}

    def put(self, worker: WorkerState, value: T | None, error: BaseException | None) -> None:
        """Keep the outcome of the job in this worker until its turn."""
        run = worker.end - worker.start - worker.waited
        turn = worker.index if self._in_order else self._put
        self._put += 1
        self._outcomes[turn] = Outcome(worker.index, value, error, max(worker.attempts, 1), worker.start, worker.waited, run)
        if turn == self._taken:
            self.arrived()

    def pop(self) -> Outcome[T] | None:
        """Return the outcome whose turn it is, None when it is not there."""
        outcome = self._outcomes.pop(self._taken, None)
        if outcome is not None:
            self._taken += 1
        return outcome


def _nothing() -> None:
    """Wake nobody: nobody waits before the workers are there."""
