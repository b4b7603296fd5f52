"""What every worker does, wherever it runs: parts are opened once, calls run side by side, what goes wrong, or is warned of, is data."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

from asyncrun.errors import AsyncrunError, JobFailedError, ResourceError
from asyncrun.ports import WorkerPart

CLOSE_WITHIN = 4.0
"""Seconds that a part has to close in: less than a process has to end in."""

MOST_WARNINGS = 100
"""Different sentences of one worker that are handed on."""
LONGEST_WARNING = 1_000
"""Characters of one."""


@dataclass(frozen=True, slots=True, eq=False)
class Returned:
    """What a call has returned, the seconds it took in the worker, and what libraries have said there since the answer before."""

    value: Any
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Raised:
    """What a call has raised, as it is raised again where it was called from; `frames` are for a person who asks for them."""

    error: Exception
    seconds: float
    frames: str = ""

    def raise_again(self) -> NoReturn:
        """Raise the error, with the frames of the worker as its note."""
        if self.frames:
            self.error.add_note(f"In the worker:\n{self.frames}")
        raise self.error


@dataclass(eq=False)
class _OpenPart:
    """A part that is open, or is being opened: a task of its own opens and closes it, so that it may hold what belongs to a task."""

    opened: asyncio.Future[Any]
    closing: asyncio.Event
    task: asyncio.Task[None]


@dataclass(eq=False)
class Worker:
    """The parts that are open in one worker, and the calls of them; `aclose` closes the parts.

    `take_warnings` returns what libraries have said in this worker since it was called last.
    """

    take_warnings: Callable[[], tuple[str, ...]] = tuple
    _parts: dict[WorkerPart, _OpenPart] = field(default_factory=dict, repr=False)

    async def call(self, part: WorkerPart, method: str, arguments: tuple[Any, ...]) -> Returned | Raised:
        """Call a method of a part, which is opened first if this is its first call; one that cannot be opened is tried anew by the next."""
        began = time.monotonic()
        try:
            opened = await self._open(part)
            value = await getattr(opened, method)(*arguments)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a library in another language raises what is no Exception, and the call is waited for
            frames = "".join(traceback.format_exception(error))
            return Raised(_travelling(error), time.monotonic() - began, frames)
        return Returned(value, time.monotonic() - began, self.take_warnings())

    async def aclose(self, calls: Collection[asyncio.Task[Any]] = ()) -> None:
        """Cancel those calls, and close the parts, the last one first.

        One that takes longer than `CLOSE_WITHIN` is left. What it raises then is nobody's.
        """
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls)
        while self._parts:
            _, part = self._parts.popitem()
            part.closing.set()
            if part.opened.cancel():  # it is not open yet
                part.task.cancel()
            await asyncio.wait([part.task], timeout=CLOSE_WITHIN)
            part.task.cancel()

    async def _open(self, part: WorkerPart) -> Any:
        open_part = self._parts.get(part)
        if open_part is None:
            opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            opened.add_done_callback(_look_at)
            closing = asyncio.Event()
            open_part = self._parts[part] = _OpenPart(opened, closing, asyncio.create_task(_keep_open(part, opened, closing)))
        try:
            # A call that is cancelled must not take the others' part with it.
            return await asyncio.shield(open_part.opened)
        except asyncio.CancelledError:
            if open_part.opened.cancelled() and self._parts.get(part) is open_part:
                del self._parts[part]
            raise
        except BaseException:
            if self._parts.get(part) is open_part:
                del self._parts[part]
            raise


async def _keep_open(part: WorkerPart, opened: asyncio.Future[Any], closing: asyncio.Event) -> None:
    try:
        async with part.open() as value:
            opened.set_result(value)
            await closing.wait()
    except asyncio.CancelledError:
        opened.cancel()
        raise
    except BaseException as error:  # those who wait for the part are told
        if not opened.done():
            opened.set_exception(error)


def _look_at(opened: asyncio.Future[Any]) -> None:
    """Take note of an error: whoever waited for the part may have been cancelled."""
    if not opened.cancelled():
        opened.exception()


def _travelling(error: BaseException) -> Exception:
    """Return an error that can be sent: itself where it comes back as it went, otherwise its words."""
    if not isinstance(error, Exception):
        return _in_words(error)
    if isinstance(error, MemoryError):
        return ResourceError(
            "there is no more memory for a worker",
            hint="Have fewer workers on a machine, fewer `workers` of the job or smaller batches.",
        )
    bare = error.with_traceback(None)
    bare.__cause__ = bare.__context__ = None
    try:
        again = pickle.loads(pickle.dumps(bare))  # noqa: S301 (our own words)
        if type(again) is type(error) and str(again) == str(error):
            return bare
    except Exception:  # whatever a class of others does when it is made anew
        return _in_words(error)
    return _in_words(error)


def _in_words(error: BaseException) -> AsyncrunError:
    return JobFailedError(f"a worker failed: {named(error)}")


def named(error: BaseException) -> str:
    """Return the class of an error and its words, also where it refuses to give them.

    >>> named(KeyError("page"))
    "KeyError: 'page'"
    """
    try:
        words = str(error)
    except Exception:  # whatever a class of others does when it is asked
        words = "its words cannot be read"
    return f"{type(error).__name__}: {words}"


class WorkerWarnings(logging.Handler):
    """Hears warnings of libraries, and log records from WARNING on; each sentence is kept once, until an answer takes it along."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._heard: set[str] = set()
        self._waiting: list[str] = []

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Hear what is said in this process while the context is open."""
        before = warnings.showwarning
        warnings.showwarning = self._warned
        logging.getLogger().addHandler(self)
        try:
            yield self
        finally:
            logging.getLogger().removeHandler(self)
            warnings.showwarning = before

    def take(self) -> tuple[str, ...]:
        """Return what was said since this was called last."""
        waiting, self._waiting = self._waiting, []
        return tuple(waiting)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a log record (logging calls it)."""
        try:
            self._keep(f"{record.name}: {record.getMessage()}")
        except Exception:
            self.handleError(record)

    def _warned(self, message: Warning | str, category: type[Warning], *_place: object, **_also: object) -> None:
        self._keep(f"{category.__name__}: {message}")

    def _keep(self, sentence: str) -> None:
        said = " ".join(sentence[:LONGEST_WARNING].split())
        if said not in self._heard and len(self._heard) < MOST_WARNINGS:
            self._heard.add(said)
            self._waiting.append(said)
