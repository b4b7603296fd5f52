"""Which events of a run keep spans of their own, and which are folded into one: sampled as they end, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from asyncrun.trace.attributes import Plain
from asyncrun.trace.folded_events import CoveredTime, FoldedEvents
from asyncrun.trace.percentiles import DurationHistogram

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIRST = 32
"""Events of one type and name below one parent that are never folded: the first ones."""
SLOWEST = 16
"""How many of the further ones are kept because they took longest."""
MOST_SAMPLED = 32
"""How many are kept at most because they lie evenly among the others."""
MOST_FAILED = 1000
"""How many are kept because they failed, or something below them did."""
MOST_NAMES = 50
"""Types and names of one parent's children that are told apart; more are alike by type."""


class SpanSink(Protocol):
    """Where spans are kept until they are written."""

    def keep(self, node: EventNode) -> None:
        """Write a span, or write it again."""

    def drop(self, node: EventNode) -> None:
        """Do not write a span, or remove it."""

    def new_folded(self, parent: EventNode, kind: str, name: str) -> EventNode:
        """Return a span for what is folded below `parent`."""


@dataclass(slots=True, eq=False)
class EventNode:
    """A span that is open, ended or `folded`; `folded_into` is the one that it was folded into.

    A `pinned` one is never folded as long as its parent is not. `has_failure` says that it, or something below it, did not succeed.
    `durations` are those of all events that are alike, of a folded one; `written` how many events of it are in the store.
    """

    id: int
    parent: EventNode | None
    type: str
    name: str
    start: float
    attributes: dict[str, Plain]
    end: float | None = None
    status: str = ""
    error: dict[str, Plain] | None = None
    folded: FoldedEvents | None = None
    folded_into: EventNode | None = None
    durations: DurationHistogram | None = None
    groups: dict[tuple[str, str], SiblingGroup] = field(default_factory=dict)
    covered_time: CoveredTime | None = None
    has_failure: bool = False
    open_children: int = 0
    ordinal: int = 0
    pinned: bool = False
    written: int = 0

    @property
    def seconds(self) -> float:
        """Return how long an ended one took."""
        return max((self.start if self.end is None else self.end) - self.start, 0.0)

    def group(self, kind: str, name: str) -> SiblingGroup:
        """Return the group that children of this type and name belong to."""
        key = (kind, name)
        if key not in self.groups and len(self.groups) >= MOST_NAMES:
            key = (kind, "")
        if key not in self.groups:
            self.groups[key] = SiblingGroup(self, *key)
        return self.groups[key]

    def pin(self) -> bool:
        """Return whether it will keep a span of its own whatever comes; an open one is promised that, if there is room."""
        node = self
        while node.parent is not None:
            if not (node.pinned or (node.end is None and node.parent.group(node.type, node.name).promise(node))):
                return False
            node = node.parent
        return True

    def covered(self) -> CoveredTime:
        """Return the time in which children were open."""
        if self.covered_time is None:
            self.covered_time = CoveredTime()
        return self.covered_time


class SiblingGroup:
    """The ended children of one type and name below `parent`."""

    __slots__ = ("_failed", "_first", "_sample", "_slowest", "_stride", "count", "durations", "folded", "kept", "name", "parent", "type")

    def __init__(self, parent: EventNode, kind: str, name: str) -> None:
        self.parent = parent
        self.type = kind
        self.name = name
        self.count = 0
        self.durations = DurationHistogram()
        self.kept: dict[int, EventNode] = {}
        self.folded: EventNode | None = None
        self._first = 0
        self._failed = 0
        self._slowest: list[tuple[float, int, EventNode]] = []
        self._sample: list[EventNode] = []
        self._stride = 1

    def promise(self, node: EventNode) -> bool:
        """Give one of the first places to a child that is still open; False when there is none left."""
        if self._first < FIRST and node.folded is None:
            self._first += 1
            node.pinned = True
        return node.pinned

    def add(self, node: EventNode, sink: SpanSink) -> None:
        """Take in a child that has ended."""
        self.count += 1
        self._place(node, self.count, sink)

    def add_many(self, starts: NDArray[np.float64], ends: NDArray[np.float64], make: Callable[[int], EventNode], sink: SpanSink) -> None:
        """Take in children that succeeded and have no children: `make` returns the node of the one with this position."""
        import numpy as np

        number, before = len(starts), self.count
        seconds = np.maximum(ends - starts, 0.0)
        self.count += number
        while self.count // self._stride > MOST_SAMPLED:
            self._widen(sink)
        alone = set(range(min(FIRST - self._first, number)))
        alone.update(range(self._stride - 1 - before % self._stride, number, self._stride))
        top = np.argpartition(seconds, -SLOWEST)[-SLOWEST:] if number > SLOWEST else np.arange(number)
        least = self._slowest[0][0] if len(self._slowest) >= SLOWEST else -1.0
        alone.update(top[seconds[top] > least].tolist())
        for position in sorted(alone):
            self._place(make(position), before + position + 1, sink)
        others = np.ones(number, dtype=bool)
        others[list(alone)] = False
        if others.any():
            self.durations.add_many(seconds[others])
            row = self._folded_node(sink)
            assert row.folded is not None  # noqa: S101  # as `new_folded` makes it
            row.folded.add_many(starts[others], ends[others])
            sink.keep(row)

    def _place(self, node: EventNode, ordinal: int, sink: SpanSink) -> None:
        node.ordinal = ordinal
        seconds = node.seconds
        self.durations.add(seconds)
        if (
            self._first >= FIRST
            and len(self._slowest) >= SLOWEST
            and seconds <= self._slowest[0][0]
            and ordinal % self._stride
            and not (node.has_failure or node.open_children or node.pinned)
        ):
            # What is true of nearly all takes the short way.
            fold_into(self._folded_node(sink), node, sink)
            return
        self.kept[node.id] = node
        sink.keep(node)
        if node.pinned:
            return
        if node.open_children:
            # What is still open below it needs its parent.
            node.pinned = True
        elif node.has_failure:
            self._failed += 1
            node.pinned = self._failed <= MOST_FAILED
            if not node.pinned:
                self._fold(node, sink)
        elif not self.promise(node):
            heapq.heappush(self._slowest, (seconds, node.id, node))
            if len(self._slowest) > SLOWEST:
                self._try_sample(heapq.heappop(self._slowest)[2], sink)

    def _try_sample(self, node: EventNode, sink: SpanSink) -> None:
        if node.ordinal % self._stride:
            self._fold(node, sink)
            return
        self._sample.append(node)
        if len(self._sample) > MOST_SAMPLED:
            self._widen(sink)

    def _widen(self, sink: SpanSink) -> None:
        self._stride *= 2
        sample, self._sample = self._sample, []
        for node in sample:
            if node.ordinal % self._stride:
                self._fold(node, sink)
            else:
                self._sample.append(node)

    def _fold(self, node: EventNode, sink: SpanSink) -> None:
        del self.kept[node.id]
        fold_into(self._folded_node(sink), node, sink)

    def take_over(self, other: SiblingGroup, sink: SpanSink) -> list[tuple[EventNode, EventNode]]:
        """Take over what another group has counted; return its spans, each with the one that it is to be folded into."""
        self.count += other.count
        self.durations.merge(other.durations)
        row = self._folded_node(sink)
        return [(row, node) for node in (*other.kept.values(), *([other.folded] if other.folded else []))]

    def _folded_node(self, sink: SpanSink) -> EventNode:
        if self.folded is None:
            self.folded = sink.new_folded(self.parent, self.type, self.name)
            self.folded.durations = self.durations
        return self.folded


def fold_into(row: EventNode, node: EventNode, sink: SpanSink) -> None:
    """Fold a span and all below it into `row`."""
    # One by one: an event may have more generations below it than the interpreter has frames.
    waiting = [(row, node)]
    while waiting:
        row, node = waiting.pop()
        sink.drop(node)
        assert row.folded is not None  # noqa: S101  # as `new_folded` makes it
        if node.folded is not None:
            row.folded.merge(node.folded)
        else:
            own = max(node.seconds - (node.covered_time.seconds if node.covered_time else 0.0), 0.0)
            row.folded.add(node.start, node.start + node.seconds, own, node.attributes, failed=node.status != "succeeded")
        sink.keep(row)
        for (kind, name), group in node.groups.items():
            waiting.extend(row.group(kind, name).take_over(group, sink))
        node.folded_into, node.parent, node.groups = row, None, {}
