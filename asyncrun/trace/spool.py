"""Events on their way to the store: starts and ends become rows, and rows wait while the disk is full."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from asyncrun.errors import StorageError
from asyncrun.trace.attributes import Plain, dump_attributes
from asyncrun.trace.records import RUNNING, RunRecord
from asyncrun.trace.store import Row, TraceStore

MOST_ROWS_WAITING = 50_000
"""Ended spans that are kept in memory while they cannot be written; those past it are lost."""

MOST_RECENT = 4096
"""Ended events whose ids are remembered at least."""


@dataclass(slots=True)
class _OpenSpan:
    id: int
    parent: int | None
    type: str
    start: float
    attributes: dict[str, Plain]
    error: dict[str, Plain]
    written: bool = False


class Spool:
    """Turns a run's events into rows of the store.

    Args:
        run: the run, which is added to the store before its first spans.
        offset: seconds to add to the monotonic clock to get seconds since 1970.
        clean: makes a text fit to be stored.

    An event is a tuple: a start (id, time, type, parent, attributes), an end (id, time, attributes), an error (id, attributes).
    """

    def __init__(self, run: RunRecord, offset: float, clean: Callable[[str], str]) -> None:
        self.run = run
        self.lost = 0
        self.number: int | None = None
        self._offset = offset
        self._clean = clean
        self._count = 0
        self._open: dict[str, _OpenSpan] = {}
        # Ids of events that have ended, in two generations: a child may start a little later than its parent ends.
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._ended: list[Row] = []

    def take(self, events: deque[tuple[Any, ...]]) -> None:
        """Take all events out of the queue, which others may be filling meanwhile."""
        while events:
            event = events.popleft()
            if len(event) == 5:
                self._start(*event)
            elif (span := self._open.get(event[0])) is None:
                # An end without a start: the event began before the run did.
                continue
            elif len(event) == 3:
                self._end(span, *event)
            else:
                span.error = event[1]

    def write(self, store: TraceStore, seen: float, lost: int) -> None:
        """Write all rows, and how many are lost; raises StorageError, and then keeps as many for the next time as there is room."""
        fresh = [span for span in self._open.values() if not span.written]
        try:
            if self.number is None and not self.add_run(store):
                raise StorageError(f"{store.path} holds another run {self.run.run_id}")
            rows = [*self._ended, *(self._row(span, None, RUNNING) for span in fresh)]
            store.write_spans(self.number or 0, rows, seen=seen, lost=lost)
        except StorageError:
            self.lost += max(len(self._ended) - MOST_ROWS_WAITING, 0)
            del self._ended[MOST_ROWS_WAITING:]
            raise
        self._ended = []
        for span in fresh:
            span.written = True

    def add_run(self, store: TraceStore) -> bool:
        """Add the run to the store; False when its id is taken. Raises StorageError."""
        self.number = store.add_run(self.run)
        return self.number is not None

    def give_up(self) -> None:
        """Count what is still waiting as lost."""
        self.lost += len(self._ended)
        self._ended = []

    def _start(self, event_id: str, time: float, event_type: Any, parent: str, attributes: dict[str, Plain] | None) -> None:
        self._count += 1
        kind = str(event_type.value if isinstance(event_type, Enum) else event_type)
        self._open[event_id] = _OpenSpan(self._count, self._number_of(parent), kind, time, attributes or {}, {})

    def _end(self, span: _OpenSpan, event_id: str, time: float, attributes: dict[str, Plain] | None) -> None:
        del self._open[event_id]
        if len(self._recent) >= MOST_RECENT:
            self._older, self._recent = self._recent, {}
        self._recent[event_id] = span.id
        span.attributes |= span.error
        span.attributes |= attributes or {}
        status = str(span.attributes.pop("status", "failed" if "error.type" in span.attributes else "succeeded"))
        self._ended.append(self._row(span, time, status))

    def _number_of(self, event_id: str) -> int | None:
        span = self._open.get(event_id)
        return span.id if span is not None else self._recent.get(event_id, self._older.get(event_id))

    def _row(self, span: _OpenSpan, end: float | None, status: str) -> Row:
        clean = self._clean
        name = str(span.attributes.get("name", ""))
        attributes = {key: value for key, value in span.attributes.items() if key != "name"}
        return (
            *(span.id, span.parent, clean(span.type), clean(name) if name else ""),
            *(span.start + self._offset, None if end is None else end + self._offset),
            *(clean(status), dump_attributes(attributes, clean) if attributes else None),
        )
