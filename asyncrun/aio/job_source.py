"""Where jobs come from: any iterable or asynchronous iterable, read one job at a time and ended properly."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from contextvars import Context
from typing import Any, Generic, TypeVar

from asyncrun.aio.coroutine_stepper import Job, discard

T = TypeVar("T")

Jobs = Iterable[Job[T]] | AsyncIterable[Job[T]]
"""Jobs, made beforehand or one by one as they are asked for."""


class NothingYetError(Exception):
    """There is no job at hand, but there may be one later."""


class JobSource(Generic[T]):
    """Jobs of an iterable.

    All reading happens in one context, so that a generator that sets context variables, or holds a `with` block open that does, finds
    them again at its next step, whichever worker asks.
    """

    def __init__(self, jobs: Iterable[Job[T]], context: Context) -> None:
        self._context = context
        self._jobs: Iterator[Job[T]] = context.run(iter, jobs)

    def ready(self) -> bool:
        """Return whether `take` has an answer now."""
        return True

    def take(self) -> Job[T]:
        """Return the next job. Raises StopIteration at the end, and whatever the iterable raises."""
        return self._context.run(next, self._jobs)

    def close(self) -> list[asyncio.Future[Any]]:
        """End the iterable: nothing that it has made and nobody has begun is left open. Returns what has still to end."""
        return self._context.run(end_iterator, self._jobs)


class AsyncJobSource(Generic[T]):
    """Jobs of an asynchronous iterable: one task reads it from beginning to end, a job ahead at most, and only when asked."""

    def __init__(self, jobs: AsyncIterable[Job[T]]) -> None:
        self._jobs = aiter(jobs)
        self._asked = asyncio.Event()
        self._held: list[Job[T]] = []
        self._ending: BaseException | None = None

    def ready(self) -> bool:
        """Return whether `take` has an answer now; if not, the reader is asked for a job."""
        if self._held or self._ending is not None:
            return True
        self._asked.set()
        return False

    def take(self) -> Job[T]:
        """Return the next job. Raises NothingYetError, StopIteration at the end, and whatever the iterable raises."""
        if self._held:
            return self._held.pop()
        if self._ending is not None:
            raise self._ending
        self._asked.set()
        raise NothingYetError

    async def read(self, arrived: Callable[[], None]) -> None:
        """Read to the end, and call `arrived` whenever `take` has a new answer."""
        try:
            while self._ending is None:
                await self._asked.wait()
                try:
                    self._held.append(await anext(self._jobs))
                except StopAsyncIteration:
                    self._ending = StopIteration()
                except Exception as error:
                    self._ending = error
                # Only now: whoever asked meanwhile is answered by this job.
                self._asked.clear()
                arrived()
        finally:
            close = getattr(self._jobs, "aclose", None)
            if close is not None:
                await close()

    def close(self) -> list[asyncio.Future[Any]]:
        """End the job that was read and not begun, as `JobSource.close`; the iterable is ended by the task that reads it."""
        return end_iterator(iter([self._held.pop()] if self._held else []))


def open_source(jobs: Jobs[T], context: Context) -> JobSource[T] | AsyncJobSource[T]:
    """Return a source of these jobs. Raises TypeError when they are not iterable."""
    if isinstance(jobs, AsyncIterable):
        return AsyncJobSource(jobs)
    if isinstance(jobs, Iterable):
        return JobSource(jobs, context)
    discard(jobs)
    raise TypeError(f"jobs must be an iterable or an asynchronous iterable, not {type(jobs).__name__}")


def end_iterator(jobs: Iterator[object]) -> list[asyncio.Future[Any]]:
    """Discard what is left of an iterator, and return the tasks and futures that have still to end.

    One that knows its length holds jobs that are already made: each is ended. Any other makes them when asked, perhaps without end,
    so it is not asked again; a generator is closed, and its `finally` blocks run.
    """
    close = getattr(jobs, "close", None)
    if close is not None:
        close()
    elif known_length(jobs) is not None:
        return [cancelled for job in jobs if (cancelled := discard(job)) is not None]
    return []


def known_length(jobs: object) -> int | None:
    """Return how many jobs there are, None when that is not known.

    >>> known_length([1, 2]), known_length(iter([1, 2])), known_length(map(abs, [1]))
    (2, 2, None)
    """
    try:
        length = operator.length_hint(jobs, -1)
    except TypeError:  # an endless itertools.repeat
        return None
    return None if length < 0 else length
