"""The critical path: what the end of a run waited for, from one event to the one before it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncrun.callbacks.schema import CBEventType
from asyncrun.trace.span_tree import WAITS, SpanNode, number_of


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part of the path: `node` is the innermost event that the run was at (None: between events), `job` the outermost job."""

    start: float
    end: float
    node: SpanNode | None
    job: SpanNode | None

    @property
    def seconds(self) -> float:
        """Return how long it is."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class PathPart:
    """All pieces of one job and one sort of event: seconds on the path, and the share of its waits that lies there."""

    job: str
    event: str
    seconds: float
    waits: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Visit:
    start: float
    end: float
    node: SpanNode | None
    job: SpanNode | None
    within: bool


def critical_path(forest: Sequence[SpanNode]) -> tuple[Piece, ...]:
    """Return the pieces of the path from the first start to the last end, without gaps, by their time.

    It is followed from the end: the child that ended last, then the one that ended last before that one started, and so on;
    the time between them is the parent's own. Where that time lies in folded events, it is theirs.
    """
    if not forest:
        return ()
    pieces: list[Piece] = []
    waiting = [_Visit(min(node.span.start for node in forest), max(node.end for node in forest), None, None, True)]
    while waiting:
        visit = waiting.pop()
        children = tuple(forest) if visit.node is None else visit.node.children
        if visit.within and children:
            waiting.extend(reversed(_backwards(visit, children)))
        elif visit.end > visit.start:
            pieces.append(Piece(visit.start, visit.end, visit.node, visit.job))
    return tuple(reversed(pieces))


def parts_of(path: Sequence[Piece]) -> tuple[PathPart, ...]:
    """Return the path summed up by job and sort of event, the longest first."""
    seconds: dict[tuple[str, str], float] = {}
    waits: dict[tuple[str, str], dict[str, float]] = {}
    for piece in path:
        key = (piece.job.label if piece.job else "", _event(piece))
        seconds[key] = seconds.get(key, 0.0) + piece.seconds
        if piece.node is not None and piece.node.seconds > 0:
            share = min(piece.seconds / piece.node.seconds, 1.0)
            sums = waits.setdefault(key, {})
            for name in WAITS:
                sums[name] = sums.get(name, 0.0) + share * number_of(piece.node.span, f"waits.{name}")
    parts = [PathPart(*key, total, waits.get(key, {})) for key, total in seconds.items()]
    return tuple(sorted(parts, key=lambda part: (-part.seconds, part.job, part.event)))


def _backwards(visit: _Visit, children: Sequence[SpanNode]) -> list[_Visit]:
    """Return what the path visits below one event, from its end to its start."""
    exact = sorted((child for child in children if not child.folded), key=lambda child: child.end)
    ends = [child.end for child in exact]
    folds = [child for child in children if child.folded]
    found: list[_Visit] = []
    cursor = visit.end
    while cursor > visit.start:
        index = bisect_right(ends, cursor) - 1
        while index >= 0 and exact[index].end <= exact[index].span.start:
            index -= 1
        child = exact[index] if index >= 0 and exact[index].end > visit.start else None
        found += _between(visit, folds, visit.start if child is None else child.end, cursor)
        if child is None:
            break
        found.append(_Visit(max(child.span.start, visit.start), child.end, child, _job(visit, child), True))
        cursor = child.span.start
    return found


def _between(visit: _Visit, folds: Sequence[SpanNode], start: float, end: float) -> list[_Visit]:
    if end <= start:
        return []
    covering = [fold for fold in folds if fold.span.start < end and fold.end > start]
    if not covering:
        return [_Visit(start, end, visit.node, visit.job, False)]
    fold = max(covering, key=lambda fold: fold.seconds / max(fold.end - fold.span.start, 1e-9))
    first, last = max(start, fold.span.start), min(end, fold.end)
    return [
        *([_Visit(last, end, visit.node, visit.job, False)] if last < end else []),
        _Visit(first, last, fold, _job(visit, fold), True),
        *([_Visit(start, first, visit.node, visit.job, False)] if start < first else []),
    ]


def _job(visit: _Visit, child: SpanNode) -> SpanNode | None:
    return visit.job or (child if child.span.type == CBEventType.ASYNC_JOB.value else None)


def _event(piece: Piece) -> str:
    if piece.node is None:
        return "between events"
    if piece.node is piece.job:
        return "itself"
    return piece.node.span.type
