"""How much was going on at once: what a job really used of the concurrency that it was allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from asyncrun.trace.span_tree import SpanNode, union_seconds, walk

PARTS = 200
"""Parts of a job's time in which the most is looked for, where events are folded."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time (seconds since 1970) in which `level` events were open: one, or of folded ones as many as on average (`folded`)."""

    start: float
    end: float
    level: float = 1.0
    folded: bool = False


@dataclass(frozen=True, slots=True)
class UsedConcurrency:
    """How many events were open at once: `most`, and `mean` over the time in which the job itself was open."""

    most: float
    mean: float


def stretches_of(heads: Iterable[SpanNode]) -> list[Stretch]:
    """Return when the innermost events at or below `heads` were open."""
    return [_stretch(node) for node in walk(heads) if not node.children]


def concurrency_of(heads: Sequence[SpanNode]) -> UsedConcurrency:
    """Return how much was going on at once inside of a job; where events are folded the most may have been more."""
    stretches = stretches_of(heads)
    seconds = union_seconds((head.span.start, head.end) for head in heads)
    work = sum((stretch.end - stretch.start) * stretch.level for stretch in stretches)
    most = most_at_once(stretch for stretch in stretches if not stretch.folded)
    if any(stretch.folded for stretch in stretches):
        first, last = min(head.span.start for head in heads), max(head.end for head in heads)
        most = max(most, round(max(mean_levels(stretches, first, last, PARTS)), 6))
    return UsedConcurrency(most, work / seconds if seconds > 0 else 0.0)


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

    When folded events were open is not known, but that they shared their workers with the others: they are laid where the fewest
    others were open.

    >>> mean_levels([Stretch(0, 2), Stretch(1, 2)], 0, 4, 4)
    [1.0, 2.0, 0.0, 0.0]
    >>> mean_levels([Stretch(0, 2, 2), Stretch(0, 4, 1, folded=True)], 0, 4, 4)
    [2.0, 2.0, 2.0, 2.0]
    """
    size = (end - start) / parts
    if size <= 0:
        return [0.0] * parts
    levels = [0.0] * parts
    wholly = [0.0] * (parts + 1)
    folds: list[list[tuple[int, float]]] = []
    amounts: list[float] = []
    for stretch in stretches:
        first, last = (min(max((moment - start) / size, 0.0), float(parts)) for moment in (stretch.start, stretch.end))
        edges, inner = _shares(first, last)
        if stretch.folded:
            folds.append([*edges, *((part, 1.0) for part in inner)])
            amounts.append((last - first) * stretch.level)
            continue
        for part, share in edges:
            levels[part] += share * stretch.level
        if inner:
            wholly[inner.start] += stretch.level
            wholly[inner.stop] -= stretch.level
    levels = [max(own + whole, 0.0) for own, whole in zip(levels, accumulate(wholly), strict=False)]
    for shares, amount in zip(folds, amounts, strict=True):
        _fill(levels, shares, amount)
    return levels


def _shares(first: float, last: float) -> tuple[list[tuple[int, float]], range]:
    """Return the parts that are covered in part, each with its share, and those that are covered wholly."""
    begin, finish = int(first), int(last)
    if begin == finish:
        return ([(begin, last - first)] if last > first else []), range(0)
    edges = [(begin, begin + 1 - first), *([(finish, last - finish)] if last > finish else [])]
    return edges, range(begin + 1, finish)


def _fill(levels: list[float], shares: Sequence[tuple[int, float]], amount: float) -> None:
    """Add an amount to the lowest levels, as water finds its level."""
    if not shares or amount <= 0:
        return
    order = sorted(shares, key=lambda entry: levels[entry[0]])
    width = height = 0.0
    surface = levels[order[0][0]]
    for number, (part, share) in enumerate(order):
        width += share
        height += share * levels[part]
        surface = (amount + height) / width
        if number + 1 == len(order) or surface <= levels[order[number + 1][0]]:
            break
    for part, share in shares:
        levels[part] += share * max(surface - levels[part], 0.0)


def _stretch(node: SpanNode) -> Stretch:
    seconds = node.end - node.span.start
    if not node.folded:
        return Stretch(node.span.start, node.end)
    return Stretch(node.span.start, node.end, node.seconds / seconds if seconds > 0 else 0.0, folded=True)
