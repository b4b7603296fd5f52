"""Which events keep spans of their own, and which are folded into one: decided as they end, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from asyncrun.trace.attributes import Plain
from asyncrun.trace.folding import Busy, Fold
from asyncrun.trace.percentiles import Quantiles

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


class Rows(Protocol):
    """Where spans are kept until they are written."""

    def keep(self, node: Node) -> None:
        """Write a span, or write it again."""

    def drop(self, node: Node) -> None:
        """Do not write a span, or remove it."""

    def new_fold(self, parent: Node, kind: str, name: str) -> Node:
        """Return a span for what is folded below `parent`."""


class Node:
    """A span that is open, ended or folded (`fold`); `into` is the one that it was folded into.

    A `pinned` one is never folded as long as its parent is not.
    """

    __slots__ = (
        *("id", "parent", "type", "name", "start", "end", "status", "attributes", "error", "fold", "into"),
        *("alike", "branches", "busy", "odd", "open_children", "ordinal", "pinned", "written"),
    )

    def __init__(self, id: int, parent: Node | None, kind: str, name: str, start: float) -> None:
        self.id = id
        self.parent = parent
        self.type = kind
        self.name = name
        self.start = start
        self.end: float | None = None
        self.status = ""
        self.attributes: dict[str, Plain] = {}
        self.error: dict[str, Plain] = {}
        self.fold: Fold | None = None
        self.into: Node | None = None
        self.alike: Quantiles | None = None
        self.branches: dict[tuple[str, str], Branch] = {}
        self.busy: Busy | None = None
        self.odd = False
        self.open_children = 0
        self.ordinal = 0
        self.pinned = False
        self.written = 0

    @property
    def seconds(self) -> float:
        """Return how long an ended one took."""
        return max((self.start if self.end is None else self.end) - self.start, 0.0)

    def branch(self, kind: str, name: str) -> Branch:
        """Return the branch that children of this type and name belong to."""
        key = (kind, name)
        if key not in self.branches and len(self.branches) >= MOST_NAMES:
            key = (kind, "")
        if key not in self.branches:
            self.branches[key] = Branch(self, *key)
        return self.branches[key]

    def pin(self) -> bool:
        """Return whether it will keep a span of its own whatever comes; an open one is promised that, if there is room."""
        node = self
        while node.parent is not None:
            if not (node.pinned or (node.end is None and node.parent.branch(node.type, node.name).promise(node))):
                return False
            node = node.parent
        return True

    def covered(self) -> Busy:
        """Return the time in which children were open."""
        if self.busy is None:
            self.busy = Busy()
        return self.busy


class Branch:
    """The ended children of one type and name below `parent`."""

    __slots__ = ("_failed", "_first", "_sample", "_slowest", "_stride", "alike", "count", "exact", "name", "parent", "row", "type")

    def __init__(self, parent: Node, kind: str, name: str) -> None:
        self.parent = parent
        self.type = kind
        self.name = name
        self.count = 0
        self.alike = Quantiles()
        self.exact: dict[int, Node] = {}
        self.row: Node | None = None
        self._first = 0
        self._failed = 0
        self._slowest: list[tuple[float, int, Node]] = []
        self._sample: list[Node] = []
        self._stride = 1

    def promise(self, node: Node) -> bool:
        """Give one of the first places to a child that is still open; False when there is none left."""
        if self._first < FIRST and node.fold is None:
            self._first += 1
            node.pinned = True
        return node.pinned

    def settle(self, node: Node, rows: Rows) -> None:
        """Take in a child that has ended."""
        self.count += 1
        self._settle(node, self.count, rows)

    def settle_many(self, starts: NDArray[np.float64], ends: NDArray[np.float64], make: Callable[[int], Node], rows: Rows) -> None:
        """Take in children that succeeded and have no children: `make` returns the node of the one with this position."""
        import numpy as np

        number, before = len(starts), self.count
        seconds = np.maximum(ends - starts, 0.0)
        self.count += number
        while self.count // self._stride > MOST_SAMPLED:
            self._widen(rows)
        alone = set(range(min(FIRST - self._first, number)))
        alone.update(range(self._stride - 1 - before % self._stride, number, self._stride))
        top = np.argpartition(seconds, -SLOWEST)[-SLOWEST:] if number > SLOWEST else np.arange(number)
        least = self._slowest[0][0] if len(self._slowest) >= SLOWEST else -1.0
        alone.update(top[seconds[top] > least].tolist())
        for position in sorted(alone):
            self._settle(make(position), before + position + 1, rows)
        others = np.ones(number, dtype=bool)
        others[list(alone)] = False
        if others.any():
            self.alike.add_many(seconds[others])
            row = self._row(rows)
            assert row.fold is not None  # noqa: S101  # as `new_fold` makes it
            row.fold.add_many(starts[others], ends[others])
            rows.keep(row)

    def _settle(self, node: Node, ordinal: int, rows: Rows) -> None:
        node.ordinal = ordinal
        seconds = node.seconds
        self.alike.add(seconds)
        if (
            self._first >= FIRST
            and len(self._slowest) >= SLOWEST
            and seconds <= self._slowest[0][0]
            and ordinal % self._stride
            and not (node.odd or node.open_children or node.pinned)
        ):
            # What is true of nearly all takes the short way.
            fold_into(self._row(rows), node, rows)
            return
        self.exact[node.id] = node
        rows.keep(node)
        if node.pinned:
            return
        if node.open_children:
            # What is still open below it needs its parent.
            node.pinned = True
        elif node.odd:
            self._failed += 1
            node.pinned = self._failed <= MOST_FAILED
            if not node.pinned:
                self._fold(node, rows)
        elif not self.promise(node):
            heapq.heappush(self._slowest, (seconds, node.id, node))
            if len(self._slowest) > SLOWEST:
                self._try_sample(heapq.heappop(self._slowest)[2], rows)

    def _try_sample(self, node: Node, rows: Rows) -> None:
        if node.ordinal % self._stride:
            self._fold(node, rows)
            return
        self._sample.append(node)
        if len(self._sample) > MOST_SAMPLED:
            self._widen(rows)

    def _widen(self, rows: Rows) -> None:
        self._stride *= 2
        sample, self._sample = self._sample, []
        for node in sample:
            if node.ordinal % self._stride:
                self._fold(node, rows)
            else:
                self._sample.append(node)

    def _fold(self, node: Node, rows: Rows) -> None:
        del self.exact[node.id]
        fold_into(self._row(rows), node, rows)

    def receive(self, other: Branch, rows: Rows) -> list[tuple[Node, Node]]:
        """Take over what another branch has counted; return its spans, each with the one that it is to be folded into."""
        self.count += other.count
        self.alike.merge(other.alike)
        row = self._row(rows)
        return [(row, node) for node in (*other.exact.values(), *([other.row] if other.row else []))]

    def _row(self, rows: Rows) -> Node:
        if self.row is None:
            self.row = rows.new_fold(self.parent, self.type, self.name)
            self.row.alike = self.alike
        return self.row


def fold_into(row: Node, node: Node, rows: Rows) -> None:
    """Fold a span and all below it into `row`."""
    # One by one: an event may have more generations below it than the interpreter has frames.
    waiting = [(row, node)]
    while waiting:
        row, node = waiting.pop()
        rows.drop(node)
        assert row.fold is not None  # noqa: S101  # as `new_fold` makes it
        if node.fold is not None:
            row.fold.merge(node.fold)
        else:
            own = max(node.seconds - (node.busy.seconds if node.busy else 0.0), 0.0)
            row.fold.add(node.start, node.start + node.seconds, own, node.attributes, failed=node.status != "succeeded")
        rows.keep(row)
        for (kind, name), branch in node.branches.items():
            waiting.extend(row.branch(kind, name).receive(branch, rows))
        node.into, node.parent, node.branches = row, None, {}
