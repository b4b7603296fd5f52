"""The recorder: a handler that writes every event of a run to the trace store, off the caller's thread."""

from __future__ import annotations

import logging
import platform
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from asyncrun import __version__
from asyncrun.callbacks.base_handler import BaseCallbackHandler
from asyncrun.callbacks.job_events import JobLog
from asyncrun.callbacks.schema import CBEventType, new_id
from asyncrun.clock import Clock, SystemClock
from asyncrun.errors import StopRunError, StorageError
from asyncrun.escape import printable
from asyncrun.redact import Redactor
from asyncrun.trace.attributes import LONGEST_TEXT, clean_values, pick_attributes
from asyncrun.trace.run_record import RunRecord, Span, new_run_id
from asyncrun.trace.span_queue import SpanQueue
from asyncrun.trace.store import TraceStore

logger = logging.getLogger(__name__)

COMMIT_EVERY = 0.5
"""Seconds between two commits while events come."""
SIGN_OF_LIFE_EVERY = 5.0
"""Seconds between two commits while none come."""
MOST_EVENTS_WAITING = 20_000
"""Starts and ends that wait for the recorder's thread; who adds more takes some himself."""
RELIEF = 1000
"""How many he takes."""
MOST_TRIES = 50
"""How many ids are tried for a run before it goes without a place in the store."""


class TraceRecorder(BaseCallbackHandler):
    """Records the events of one run at a time.

    Args:
        path: the trace store's file, `traces.db`.
        redactor: takes secrets out of names, attributes and errors before they are written.
        clock: the time.
        token: gives the end of a run's id.
        max_size: bytes that the store may have; earlier runs make room, and what still does not fit is lost.
        warn: is told once a run why its trace is partial.
        texts: whether beginnings of the texts of documents are recorded too.
        so_far: is asked in the writer's thread what the run has done so far, as `RunningTotals.summary` says it.
        follow: is told, in the writer's thread, of spans that are written and will not change any more; not of all, and it must not block.

    Events are recorded between `begin_run` and `end_run`. A disk that fills up meanwhile does not break the run: what could
    not be written is counted as `lost`, and the trace says that it is partial.
    """

    uses_trace_map = False

    def __init__(
        self,
        path: Path,
        redactor: Redactor,
        clock: Clock | None = None,
        token: Callable[[], str] = lambda: secrets.token_hex(2),
        *,
        max_size: int | None = None,
        warn: Callable[[str], object] = logger.warning,
        texts: bool = False,
        so_far: Callable[[], Mapping[str, Any]] = dict,
        follow: Callable[[RunRecord, Sequence[Span]], object] | None = None,
    ) -> None:
        super().__init__([], [])
        self._path = path
        self._clock = clock or SystemClock()
        # The function itself: the method around it would cost twice as much.
        self._monotonic = time.monotonic if isinstance(self._clock, SystemClock) else self._clock.monotonic
        self._token = token
        self._redactor = redactor
        self._max_size = max_size
        self._tell = warn
        self._texts = texts
        self._so_far = so_far
        self._follow = follow
        self._clean = lru_cache(maxsize=4096)(self._clean_text)
        self._events: deque[tuple[Any, ...]] = deque()
        self._logs: dict[int, JobLog] = {}
        self._recording = False
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._store: TraceStore | None = None
        self._queue: SpanQueue | None = None
        self._began = 0.0
        self._warned = False
        self._told: Mapping[str, Any] = {}

    @property
    def run_id(self) -> str | None:
        """Return the id of the run that is being recorded, or was last."""
        return self._queue.run.run_id if self._queue else None

    @property
    def lost(self) -> int:
        """Return how many spans of the run could not be written."""
        return self._queue.lost if self._queue else 0

    def open(self) -> None:
        """Open the store and start the writer's thread. Raises StorageError and DamagedStateError as `TraceStore` does."""
        self._store = TraceStore(self._path)
        self._stop.clear()
        self._thread = threading.Thread(target=self._write_on, name="asyncrun-trace", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, stop the thread and close the store; may be called twice."""
        self._stop_recording()
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
        if self._store is not None:
            self.flush()
            self._store.close()
            self._store = None

    def prune(self, keep: float) -> int:
        """Remove runs that began more than `keep` seconds ago, and the earliest of a store that is too large. Raises StorageError.

        Returns how many were removed.
        """
        now = self._clock.now()
        with self._writing:
            return self._store.prune(now=now, before=now - keep, max_size=self._max_size) if self._store else 0

    def begin_run(
        self,
        *,
        job_file: str | None = None,
        host: str | None = None,
        settings: Mapping[str, Any] | None = None,
        job_file_hash: str | None = None,
    ) -> str:
        """Begin to record a run and return its id. Raises nothing when the disk is full: the trace is then partial.

        While the store is not open, a run gets an id and is not recorded.
        """
        if self._recording:
            raise RuntimeError("a recorder records one run at a time")
        now = self._clock.now()
        self._began = self._monotonic()
        self._warned, self._told = False, {}
        began = RunRecord(
            "",
            now,
            job_file=None if job_file is None else self._clean(job_file),
            version=__version__,
            host=self._clean(host or platform.node()),
            seen=now,
            settings=clean_values(settings or {}, self._redactor.redact),
            job_file_hash=job_file_hash,
        )
        with self._writing:
            self._events.clear()
            for _ in range(MOST_TRIES):
                run = replace(began, run_id=new_run_id(now, self._token()))
                self._queue = SpanQueue(run, now - self._began, self._clean, texts=self._texts)
                try:
                    if self._store is None or self._queue.add_run(self._store):
                        break
                except StorageError as error:
                    self._warn(error)
                    break
        self._recording = self._store is not None
        return run.run_id

    def end_run(self, *, status: str, exit_code: int, summary: Mapping[str, Any] | None = None, seconds: float | None = None) -> None:
        """Write what is left of the run and how it ended: `seconds` as the run counts them (default: since it began), `summary` as JSON."""
        self._stop_recording()
        self.flush()
        store, queue = self._store, self._queue
        if store is None or queue is None:
            return
        queue.give_up()
        lasted = self._monotonic() - self._began
        run = replace(
            queue.run,
            ended=queue.run.started + lasted,
            status=status,
            exit_code=exit_code,
            seconds=lasted if seconds is None else seconds,
            summary=clean_values(summary or {}, self._redactor.redact),
            lost=self.lost,
        )
        try:
            with self._writing:
                if queue.number is not None or queue.add_run(store):
                    store.end_run(queue.number or 0, run)
        except StorageError as error:
            self._warn(error)

    def flush(self) -> None:
        """Write now what has been recorded so far."""
        with self._writing:
            queue, store = self._queue, self._store
            if queue is None or store is None:
                return
            try:
                self._collect(queue)
                full = not self._has_space(store)
                told = self._so_far()
                summary = None if told == self._told else clean_values(told, self._clean)
                ended = queue.write(store, self._clock.now(), self.lost, full=full, pin=self._follow is not None, summary=summary)
                self._told = told
                if self._follow is not None and ended:
                    self._follow(queue.run, ended)
            except StorageError as error:
                self._warn(error)
            except Exception as error:
                # A mistake of ours. The run is worth more than its trace.
                self._recording = False
                self._warn(f"{type(error).__name__}: {error}")

    def _collect(self, queue: SpanQueue) -> None:
        logs = list(self._logs.values())
        # Jobs that are open now are events from now on; what encloses them is among the events already.
        for notes in [notes for log in logs for notes in list(log.notes.values())]:
            for index in list(notes.open):
                notes.event_id(index)
        for _ in range(0, len(self._events) + RELIEF, RELIEF):
            queue.take(self._events, RELIEF)
        for log in logs:
            queue.take_jobs(log)

    def on_event_start(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", parent_id: str = "", **kwargs: Any
    ) -> str:
        """Note the start of an event; the payload, which is read later, may name its span ("name")."""
        event_id = event_id or new_id()
        if self._recording:
            self._relieve()
            self._events.append((event_id, self._monotonic(), event_type, parent_id, payload))
        return event_id

    def on_event_end(self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any) -> None:
        """Note the end of an event; the payload's key "status" says how it ended, without it an exception does."""
        if self._recording:
            self._relieve()
            self._events.append((event_id, self._monotonic(), payload))

    def on_event_error(self, event_id: str, error: BaseException) -> None:
        """Note that an exception leaves an event: it failed, or was cancelled, as by a handler that stops the work."""
        if self._recording:
            status = "failed" if isinstance(error, Exception) and not isinstance(error, StopRunError) else "cancelled"
            self._events.append((event_id, {"status": status, **pick_attributes({"error": error})}))

    def open_jobs(self, parent_id: str) -> JobLog | None:
        """Return where a pool notes the jobs of one call: three numbers a job instead of two calls."""
        if not self._recording:
            return None
        log = JobLog(parent_id, self._report_job, self._relieve_of, self._monotonic)
        self._logs[id(log)] = log
        return log

    def close_jobs(self, log: JobLog) -> None:
        """Take what is left of a call whose jobs have all ended."""
        log.close()
        if self._logs.pop(id(log), None) is not None:
            self._events.append((log,))

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing: a run is recorded from `begin_run`."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Do nothing: spans know their parents."""

    def _report_job(self, parent: str, event_id: str, start: float, index: int, name: str) -> None:
        self._events.append((event_id, start, CBEventType.ASYNC_JOB, parent, {"index": index, "job": name}))

    def _relieve(self) -> None:
        """Keep the queue short where the other thread is slow, or waits for the disk: nothing is dropped, nothing grows."""
        if len(self._events) >= MOST_EVENTS_WAITING and self._queue is not None:
            self._queue.take(self._events, RELIEF)

    def _relieve_of(self, log: JobLog) -> None:
        # Here rather than in the other thread, which would fight a busy loop for the interpreter over each piece: that costs more.
        if self._queue is not None:
            self._queue.take_jobs(log)

    def _has_space(self, store: TraceStore) -> bool:
        if self._max_size is None or store.size() <= self._max_size:
            return True
        store.prune(now=self._clock.now(), max_size=self._max_size, spare=self.run_id)
        if store.size() <= self._max_size:
            return True
        self._warn(f"{store.path} has the {self._max_size} bytes that it may have")
        return False

    def _stop_recording(self) -> None:
        self._recording = False
        for log in list(self._logs.values()):
            self.close_jobs(log)

    def _write_on(self) -> None:
        silent = 0.0
        while not self._stop.wait(COMMIT_EVERY):
            silent += COMMIT_EVERY
            if self._recording and (self._events or self._logs or silent >= SIGN_OF_LIFE_EVERY or self._so_far() != self._told):
                self.flush()
                silent = 0.0

    def _clean_text(self, text: str) -> str:
        return printable(self._redactor.redact(text), LONGEST_TEXT)

    def _warn(self, why: object) -> None:
        if not self._warned:
            self._warned = True
            self._tell(f"the trace of this run is partial: {printable(str(why))}")
