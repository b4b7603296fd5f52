"""How much was going on at once: what a job really used of the concurrency that it was allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from asyncrun.trace.analysis import Node, union_seconds, walk


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time (seconds since 1970) in which `level` events were open: one, or of folded ones as many as on average."""

    start: float
    end: float
    level: float = 1.0


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many events were open at once: `most`, and `mean` over the time in which the job itself was open."""

    most: float
    mean: float


def stretches_of(heads: Iterable[Node]) -> list[Stretch]:
    """Return when the innermost events at or below `heads` were open."""
    return [_stretch(node) for node in walk(heads) if not node.children]


def concurrency_of(heads: Sequence[Node]) -> Concurrency:
    """Return how much was going on at once inside of a job; where events are folded the most may have been more."""
    stretches = stretches_of(heads)
    seconds = union_seconds((head.span.start, head.end) for head in heads)
    work = sum((stretch.end - stretch.start) * stretch.level for stretch in stretches)
    return Concurrency(most_at_once(stretches), work / seconds if seconds > 0 else 0.0)


def most_at_once(stretches: Iterable[Stretch]) -> float:
    """Return the highest sum of levels at any moment; where one ends and another starts, only one counts.

    >>> most_at_once([Stretch(0, 2), Stretch(1, 3), Stretch(2, 4)])
    2.0
    """
    changes = [change for part in stretches for change in ((part.start, part.level), (part.end, -part.level))]
    changes.sort()
    return max(0.0, round(max(accumulate(change for _, change in changes), default=0.0), 6))


def mean_levels(stretches: Iterable[Stretch], start: float, end: float, parts: int) -> list[float]:
    """Return the mean of the levels in each of `parts` equal parts of the time from `start` to `end`.

    >>> mean_levels([Stretch(0, 2), Stretch(1, 2)], 0, 4, 4)
    [1.0, 2.0, 0.0, 0.0]
    """
    size = (end - start) / parts
    if size <= 0:
        return [0.0] * parts
    partly = [0.0] * (parts + 1)
    wholly = [0.0] * (parts + 2)
    for stretch in stretches:
        first, last = (min(max((moment - start) / size, 0.0), float(parts)) for moment in (stretch.start, stretch.end))
        begin, finish = int(first), int(last)
        if begin == finish:
            partly[begin] += (last - first) * stretch.level
            continue
        partly[begin] += (begin + 1 - first) * stretch.level
        partly[finish] += (last - finish) * stretch.level
        wholly[begin + 1] += stretch.level
        wholly[finish] -= stretch.level
    return [max(own + whole, 0.0) for own, whole in zip(partly[:parts], accumulate(wholly), strict=False)]


def _stretch(node: Node) -> Stretch:
    seconds = node.end - node.span.start
    if not node.folded:
        return Stretch(node.span.start, node.end)
    return Stretch(node.span.start, node.end, node.seconds / seconds if seconds > 0 else float(node.count))
