"""Events of a pool's jobs: LlamaIndex's calls for any handler, and three numbers a job for one that only records."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from asyncrun.callbacks.event_context import current_manager, end_failed, enter_manager, open_events
from asyncrun.callbacks.schema import CBEventType, EventPayload, new_id
from asyncrun.errors import StopRunError

if TYPE_CHECKING:
    from asyncrun.callbacks.base import CallbackManager

T = TypeVar("T")

Around = Callable[[Coroutine[Any, Any, T], int], Coroutine[Any, Any, T]]
"""Wraps the coroutine of the job with this index."""

MOST_JOB_NAMES = 50
"""Names of jobs of one call that are told apart."""
MOST_WAITING_JOBS = 4096
"""Jobs of one name that wait to be taken; who adds more has them taken himself."""


class JobNotes:
    """The jobs of one call and one name: what is cheap to note where they run, and cheap to take elsewhere.

    `numbers` are index, start and end of each job that succeeded and was of no further interest. `open` has the starts of those
    that run. `report` makes one of these an event like any other: it has an event inside of it, fails, or takes long.
    """

    __slots__ = ("_report", "_reporting", "name", "numbers", "open", "prefix")

    def __init__(self, name: str, prefix: str, report: Callable[[str, float, int, str], None]) -> None:
        self.name = name
        self.prefix = prefix
        self.open: dict[int, float] = {}
        self.numbers = array("d")
        self._report = report
        self._reporting = threading.Lock()

    def event_id(self, index: int) -> str:
        """Return the id of a job's event, which from now on is one like any other."""
        event_id = f"{self.prefix}.{index}"
        # Whichever thread removes it reports it, and no thread goes on to an end or a child before that.
        with self._reporting:
            start = self.open.pop(index, None)
            if start is not None:
                self._report(event_id, start, index, self.name)
        return event_id

    def take(self) -> array[float]:
        """Remove and return what has been noted."""
        # The other thread may be in the middle of a job's three numbers.
        size = len(self.numbers) // 3 * 3
        taken = self.numbers[:size]
        del self.numbers[:size]
        return taken


class JobLog:
    """The notes of one call, by the name of its jobs; they are made as long as the manager's list of handlers is `handlers`.

    `on_full` is called with it when as many jobs wait to be taken as may.
    """

    def __init__(
        self,
        parent: str,
        report: Callable[[str, str, float, int, str], None],
        on_full: Callable[[JobLog], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.parent = parent
        self.on_full = on_full
        self.monotonic = monotonic
        self.notes: dict[str, JobNotes] = {}
        self.handlers: object = None
        self._report = report
        self._prefix = new_id()

    def close(self) -> None:
        """Note no more: jobs that begin from now on are told of as any other event."""
        self.handlers = None

    def add(self, name: str) -> JobNotes:
        """Return the notes of jobs with this name."""
        shown = name if len(self.notes) < MOST_JOB_NAMES else ""
        if shown not in self.notes:
            self.notes[shown] = JobNotes(shown, self._prefix, lambda *job: self._report(self.parent, *job))
        return self.notes[shown]


class JobRecorder(Protocol):
    """A handler that takes the jobs of a pool as numbers, while others are told of each."""

    def open_jobs(self, parent_id: str) -> JobLog | None:
        """Return where the jobs of one call are noted, None to be told of them as of any other event."""

    def close_jobs(self, log: JobLog) -> None:
        """Take what is left: all jobs of the call have ended."""


@contextmanager
def report_jobs(manager: CallbackManager) -> Generator[Around[Any] | None, None, None]:
    """Yield what wraps each job of a call into an event ASYNC_JOB; None when nobody would be told."""
    handlers = manager.handlers
    recorder = next((cast(JobRecorder, handler) for handler in handlers if hasattr(handler, "open_jobs")), None)
    log = recorder.open_jobs(manager.innermost()) if recorder else None
    if recorder is None or log is None:
        yield _reported_to(manager) if handlers else None
        return
    try:
        yield _noted_in(log, manager, recorder)
    finally:
        recorder.close_jobs(log)


def _reported_to(manager: CallbackManager) -> Around[Any]:
    async def reported(job: Coroutine[Any, Any, Any], index: int) -> Any:
        try:
            with manager.event(CBEventType.ASYNC_JOB, payload={"index": index, "job": getattr(job, "__qualname__", "")}):
                return await job
        except StopRunError:
            job.close()  # it may not have begun
            raise

    return reported


def _noted_in(log: JobLog, manager: CallbackManager, recorder: JobRecorder) -> Around[Any]:
    # What is looked up here once is not looked up a million times: a job costs about one microsecond, of which each line is a part.
    outer, notes_of, monotonic, most = open_events.get(), log.notes.get, log.monotonic, MOST_WAITING_JOBS * 3
    log.handlers = handlers = manager.handlers
    number = len(handlers)
    others = number > 1
    entered = current_manager() is manager
    reported = _reported_to(manager)

    def tell_others(job: Any, index: int, event_id: str) -> None:
        try:
            manager.on_event_start(CBEventType.ASYNC_JOB, {"index": index, "job": job.__qualname__}, event_id, without=recorder)
        except StopRunError as stop:
            job.close()
            manager.on_event_end(CBEventType.ASYNC_JOB, {EventPayload.EXCEPTION: stop}, event_id, without=recorder)
            raise

    async def noted(job: Any, index: int) -> Any:
        if manager.handlers is not log.handlers or len(handlers) != number:
            return await reported(job, index)
        notes = notes_of(job.__qualname__) or log.add(job.__qualname__)
        if others:
            tell_others(job, index, f"{notes.prefix}.{index}")
        # In the job's own context, which ends with it.
        open_events.set(outer + ((notes, index),))  # noqa: RUF005  # half the time of unpacking
        if not entered:
            enter_manager(manager)
        running = notes.open
        running[index] = monotonic()
        try:
            value = await job
        except GeneratorExit:
            manager.on_event_end(CBEventType.ASYNC_JOB, {"status": "cancelled"}, notes.event_id(index))
            raise
        except BaseException as error:
            event_id = notes.event_id(index)
            end_failed(manager, error, lambda payload: manager.on_event_end(CBEventType.ASYNC_JOB, payload, event_id), event_id)
            raise
        start = running.pop(index, None)
        numbers = notes.numbers
        if start is None:
            manager.on_event_end(CBEventType.ASYNC_JOB, None, notes.event_id(index))
            return value
        numbers.append(index)
        numbers.append(start)
        numbers.append(monotonic())
        if len(numbers) >= most:
            log.on_full(log)
        if others:
            manager.on_event_end(CBEventType.ASYNC_JOB, None, f"{notes.prefix}.{index}", without=recorder)
        return value

    return noted
