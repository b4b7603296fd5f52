"""Events on their way to the store: starts and ends become rows, and rows wait while the disk is full."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from asyncrun.callbacks.schema import BASE_TRACE_EVENT
from asyncrun.errors import StorageError
from asyncrun.trace.attributes import Plain, dump_attributes
from asyncrun.trace.records import RUNNING
from asyncrun.trace.store import Row, TraceStore

MOST_ROWS_WAITING = 50_000
"""Ended spans that are kept in memory while they cannot be written; those past it are lost."""


@dataclass(slots=True)
class _OpenSpan:
    n: int
    parent: str | None
    type: str
    start: float
    attributes: dict[str, Plain]
    error: dict[str, Plain]
    written: bool = False


class Spool:
    """Turns a run's events into rows of the store.

    Args:
        number: the run's number in the store; None when it could not be written there, and then all is lost.
        offset: seconds to add to the monotonic clock to get seconds since 1970.
        clean: makes a text fit to be stored.

    An event is a tuple: a start (id, time, type, parent, attributes), an end (id, time, attributes), an error (id, attributes).
    """

    def __init__(self, number: int | None, offset: float, clean: Callable[[str], str]) -> None:
        self.number = number
        self.lost = 0
        self._offset = offset
        self._clean = clean
        self._count = 0
        self._open: dict[str, _OpenSpan] = {}
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

    def write(self, store: TraceStore, seen: float) -> None:
        """Write all rows; raises StorageError, and then keeps as many for the next time as there is room."""
        fresh = [(event_id, span) for event_id, span in self._open.items() if not span.written]
        try:
            if self.number is None:
                raise StorageError("the run could not be added to the trace store")
            rows = [*self._ended, *(self._row(event_id, span, None, RUNNING) for event_id, span in fresh)]
            store.write_spans(self.number, rows, seen=seen, lost=self.lost)
        except StorageError:
            self.lost += max(len(self._ended) - MOST_ROWS_WAITING, 0)
            del self._ended[MOST_ROWS_WAITING:]
            raise
        self._ended = []
        for _, span in fresh:
            span.written = True

    def _start(self, event_id: str, time: float, event_type: Any, parent: str, attributes: dict[str, Plain] | None) -> None:
        self._count += 1
        kind = str(event_type.value if isinstance(event_type, Enum) else event_type)
        outermost = not parent or parent == BASE_TRACE_EVENT
        self._open[event_id] = _OpenSpan(self._count, None if outermost else parent, kind, time, attributes or {}, {})

    def _end(self, span: _OpenSpan, event_id: str, time: float, attributes: dict[str, Plain] | None) -> None:
        del self._open[event_id]
        span.attributes |= span.error
        span.attributes |= attributes or {}
        status = str(span.attributes.pop("status", "failed" if "error.type" in span.attributes else "succeeded"))
        self._ended.append(self._row(event_id, span, time, status))

    def _row(self, event_id: str, span: _OpenSpan, end: float | None, status: str) -> Row:
        clean = self._clean
        attributes = {key: value for key, value in span.attributes.items() if key != "name"}
        return (
            *(span.n, clean(event_id), None if span.parent is None else clean(span.parent), clean(span.type)),
            *(clean(str(span.attributes.get("name", ""))), span.start + self._offset, None if end is None else end + self._offset),
            *(clean(status), dump_attributes(attributes, clean)),
        )
