"""Events on their way to the store: they become spans, those that are alike fold, and rows wait while the disk is full."""

from __future__ import annotations

import threading
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any

from asyncrun.callbacks.job_events import JobLog
from asyncrun.callbacks.schema import CBEventType
from asyncrun.errors import StorageError
from asyncrun.trace.attributes import Plain, dump_attributes, read_payload
from asyncrun.trace.folded_events import FoldedEvents
from asyncrun.trace.run_record import RUNNING, RunRecord, Span
from asyncrun.trace.span_sampling import EventNode
from asyncrun.trace.span_tree import DETAILS, WAITS
from asyncrun.trace.store import SpanRow, TraceStore, span_of

MOST_ROWS_WAITING = 50_000
"""Ended spans that are kept in memory while they cannot be written; those past it are lost."""

MOST_RECENT = 4096
"""Ended events whose ids are remembered at least."""
FEW = 64
"""Jobs that are taken one by one, which spares a small program the import of numpy."""
_WAIT_KEYS = frozenset(f"waits.{name}" for name in WAITS)


class SpanQueue:
    """Turns a run's events into rows of the store.

    Args:
        run: the run, which is added to the store before its first spans.
        offset: seconds to add to the monotonic clock to get seconds since 1970.
        clean: makes a text fit to be stored.
        texts: whether beginnings of texts of documents are kept too.

    Several threads may take events, one writes. An event is a tuple: a start (id, time, type, parent, payload), an end (id, time,
    payload), an error (id, attributes), or the jobs of a call that has ended (log,).
    """

    def __init__(self, run: RunRecord, offset: float, clean: Callable[[str], str], *, texts: bool = False) -> None:
        self.run = run
        self.lost = 0
        self.number: int | None = None
        self._offset = offset
        self._clean = clean
        self._texts = texts
        self._count = 0
        self._root = EventNode(0, None, "", "", 0.0, {})
        self._open: dict[str, EventNode] = {}
        # Ids of events that have ended, in two generations: a child may start a little later than its parent ends.
        self._recent: dict[str, EventNode] = {}
        self._older: dict[str, EventNode] = {}
        self._waiting: dict[int, EventNode] = {}
        self._gone: set[int] = set()
        # Held for moments only, and never while the disk is waited for.
        self._taking = threading.Lock()

    def take(self, events: deque[tuple[Any, ...]], most: int) -> None:
        """Take at most so many events out of the queue, which others may be filling or emptying meanwhile."""
        with self._taking:
            self._take(events, most)

    def _take(self, events: deque[tuple[Any, ...]], most: int) -> None:
        for _ in range(most):
            try:
                event = events.popleft()
            except IndexError:
                return
            if len(event) == 5:
                self._start(*event)
            elif len(event) == 1:
                self._take_jobs(event[0])
            elif (node := self._open.get(event[0])) is None:
                # An end without a start: the event began before the run did.
                continue
            elif len(event) == 3:
                self._end(node, *event)
            else:
                node.error = event[1]

    def take_jobs(self, log: JobLog) -> None:
        """Take the jobs of a pool that have ended and are of no further interest."""
        with self._taking:
            self._take_jobs(log)

    def _take_jobs(self, log: JobLog) -> None:
        for notes in list(log.notes.values()):
            numbers = notes.take()
            parent = self._find(log.parent) or self._root
            if len(numbers) <= FEW * 3:
                for position in range(0, len(numbers), 3):
                    self._add_ended(self._job(parent, notes.name, numbers, position))
            else:
                self._take_many(parent, notes.name, numbers)

    def write(
        self,
        store: TraceStore,
        seen: float,
        lost: int,
        *,
        full: bool = False,
        pin: bool = False,
        summary: Mapping[str, Any] | None = None,
    ) -> list[Span]:
        """Write all rows, how many are lost, and the summary so far; None: as before.

        Raises StorageError, and then keeps as many rows for the next time as there is room.

        A `full` store gets no new rows: what has ended and was never written is lost. With `pin`
        it returns spans that have ended, and sees to it that they and those that enclose them are never folded.
        """
        with self._taking:
            rows, nodes, gone = self._hand_over(full)
        try:
            if self.number is None and not self.add_run(store):
                raise StorageError(f"{store.path} holds another run {self.run.run_id}")
            store.write_spans(self.number or 0, rows, seen=seen, lost=lost, gone=gone, summary=summary)
        except BaseException:
            with self._taking:
                self._take_back(nodes, gone)
            raise
        with self._taking:
            return [
                span_of(self.run.run_id, row) for row, (node, _) in zip(rows, nodes, strict=True) if node.end is not None and node.pin()
            ]

    def _hand_over(self, full: bool) -> tuple[list[SpanRow], list[tuple[EventNode, int]], set[int]]:
        """Return what is to be written, and how much of each span was before."""
        for node in [node for node in self._waiting.values() if full and not node.written]:
            self._lose(node)
        nodes = [*self._waiting.values(), *(node for node in self._open.values() if not (node.written or full))]
        gone, self._gone, self._waiting = self._gone, set(), {}
        before = [(node, node.written) for node in nodes]
        for node in nodes:
            node.written = node.folded.count if node.folded else 1
        return [self._row(node) for node in nodes], before, gone

    def _take_back(self, nodes: list[tuple[EventNode, int]], gone: set[int]) -> None:
        self._gone |= gone
        waiting: dict[int, EventNode] = {}
        for node, before in nodes:
            node.written = before
            if node.folded_into is None and (node.end is not None or node.folded is not None):
                waiting[node.id] = node
        self._waiting = waiting | self._waiting
        for node in list(self._waiting.values())[MOST_ROWS_WAITING:]:
            self._lose(node)

    def add_run(self, store: TraceStore) -> bool:
        """Add the run to the store; False when its id is taken. Raises StorageError."""
        self.number = store.add_run(self.run)
        return self.number is not None

    def give_up(self) -> None:
        """Count what is still waiting as lost."""
        with self._taking:
            for node in list(self._waiting.values()):
                self._lose(node)
            self.lost += sum(not node.written for node in self._open.values())

    def keep(self, node: EventNode) -> None:
        """Write a span, or write it again."""
        self._waiting[node.id] = node

    def drop(self, node: EventNode) -> None:
        """Do not write a span, or remove it."""
        self._waiting.pop(node.id, None)
        if node.written:
            self._gone.add(node.id)

    def new_folded(self, parent: EventNode, kind: str, name: str) -> EventNode:
        """Return a span for what is folded below `parent`."""
        node = self._new(parent, kind, name, 0.0, {})
        node.folded = FoldedEvents()
        node.status = "succeeded"
        return node

    def _new(self, parent: EventNode, kind: str, name: str, start: float, attributes: dict[str, Plain]) -> EventNode:
        self._count += 1
        return EventNode(self._count, parent, kind, name, start, attributes)

    def _start(self, event_id: str, time: float, event_type: Any, parent: str, payload: Any) -> None:
        kind = str(event_type.value if isinstance(event_type, Enum) else event_type)
        attributes = read_payload(payload, texts=self._texts)
        name = str(attributes.pop("name", "") or attributes.pop("job", ""))
        above = self._find(parent) or self._root
        above.open_children += 1
        self._open[event_id] = self._new(above, kind, name, time, attributes)

    def _end(self, node: EventNode, event_id: str, time: float, payload: Any) -> None:
        del self._open[event_id]
        if len(self._recent) >= MOST_RECENT:
            self._older, self._recent = self._recent, {}
        self._recent[event_id] = node
        if node.error:
            node.attributes |= node.error
        node.attributes |= read_payload(payload, texts=self._texts)
        node.name = str(node.attributes.pop("name", node.name))
        node.status = str(node.attributes.pop("status", "failed" if "error.type" in node.attributes else "succeeded"))
        node.has_failure = node.has_failure or node.status != "succeeded"
        node.end = time
        if node.status != "succeeded":
            node.attributes |= waits_until_cut(node)
        if node.parent is not None:
            node.parent.open_children -= 1
        if node.covered_time is not None and any(group.folded for group in node.groups.values()):
            node.attributes["folded.below"] = min(node.covered_time.seconds, node.seconds)
        self._add_ended(node)

    def _add_ended(self, node: EventNode) -> None:
        # The parent may have ended before, and been folded.
        above = _final_node(node.parent or self._root)
        node.parent = above
        above.covered().add(node.start, node.start + node.seconds)
        # An attempt that failed is made good by the next one, or its batch fails too.
        above.has_failure = above.has_failure or (node.has_failure and node.type != CBEventType.ATTEMPT.value)
        above.group(node.type, node.name).add(node, self)

    def _take_many(self, parent: EventNode, name: str, numbers: array[float]) -> None:
        import numpy as np

        table = np.frombuffer(numbers, dtype=np.float64).reshape(-1, 3)
        starts, ends = table[:, 1], np.maximum(table[:, 1], table[:, 2])
        parent.covered().add_many(starts, ends)
        make = partial(self._job, parent, name, numbers)
        parent.group(CBEventType.ASYNC_JOB.value, name).add_many(starts, ends, lambda position: make(position * 3), self)

    def _job(self, parent: EventNode, name: str, numbers: array[float], position: int) -> EventNode:
        index, start, end = numbers[position : position + 3]
        node = self._new(parent, CBEventType.ASYNC_JOB.value, name, start, {"index": int(index)})
        node.end = end
        node.status = "succeeded"
        return node

    def _find(self, event_id: str) -> EventNode | None:
        node = self._open.get(event_id) or self._recent.get(event_id) or self._older.get(event_id)
        return None if node is None else _final_node(node)

    def _lose(self, node: EventNode) -> None:
        del self._waiting[node.id]
        self.lost += (node.folded.count if node.folded else 1) - node.written

    def _row(self, node: EventNode) -> SpanRow:
        clean, attributes = self._clean, node.attributes
        start, end = node.start, node.end
        if node.folded is not None and node.durations is not None:
            start, end, attributes = node.folded.first, node.folded.last, node.folded.attributes(node.durations)
        parent = node.parent.id or None if node.parent else None
        return (
            *(node.id, parent, clean(node.type), clean(node.name) if node.name else ""),
            *(start + self._offset, None if end is None else end + self._offset),
            *(clean(node.status or RUNNING), dump_attributes(attributes, clean) if attributes else None),
        )


def _final_node(node: EventNode) -> EventNode:
    while node.folded_into is not None:
        node = node.folded_into
    return node


def waits_until_cut(node: EventNode) -> Mapping[str, float]:
    """Return the waits of an ended event by their attributes; none where it has told its own.

    They are its own time where it is a wait, else the sums of the attempts and waits below it.
    """
    if _WAIT_KEYS & node.attributes.keys():
        return {}
    if node.type == CBEventType.WAIT.value:
        key = f"waits.{node.name}"
        return {key: node.seconds} if key in _WAIT_KEYS else {}
    waits: defaultdict[str, float] = defaultdict(float)
    for group in node.groups.values():
        if group.type in DETAILS:
            for child in group.kept.values():
                _sum_waits(waits, child.attributes)
            if group.folded is not None and group.folded.folded is not None:
                _sum_waits(waits, group.folded.folded.sums)
    return waits


def _sum_waits(waits: defaultdict[str, float], told: Mapping[str, Plain]) -> None:
    for key in _WAIT_KEYS & told.keys():
        seconds = told[key]
        if isinstance(seconds, int | float):
            waits[key] += seconds
