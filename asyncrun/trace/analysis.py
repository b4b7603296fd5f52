"""Where the time of a run went: spans as a tree, their own time, and what they waited for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from asyncrun.callbacks.schema import CBEventType
from asyncrun.records import Waits
from asyncrun.trace.records import Span

WAITS = tuple(item.name for item in fields(Waits))
"""What a span can wait for: its attribute `waits.<name>` has the seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A span with its children.

    `seconds` is its duration (of an open span the time up to the last thing that the trace knows), `own_seconds` that
    without the time in which at least one child was open.
    """

    span: Span
    children: tuple[Node, ...]
    seconds: float
    own_seconds: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of several spans: `total` is the sum of their durations, `own` that of their own time."""

    label: str
    count: int
    total: float
    own: float
    waits: Mapping[str, float]
    failed: int = 0


def build_forest(spans: Sequence[Span]) -> tuple[Node, ...]:
    """Return the outermost spans, each with its children, all by their start.

    `spans` are ordered by id. A span whose parent is not there, or does not stand before it, counts as outermost.
    """
    horizon = _horizon(spans)
    known: set[int] = set()
    children: dict[int | None, list[Span]] = {}
    for span in spans:
        children.setdefault(span.parent if span.parent in known else None, []).append(span)
        known.add(span.id)
    # From the last to the first: a span's children come after it, so they are ready when it is built.
    built: dict[int, Node] = {}
    for span in reversed(spans):
        below = children.get(span.id, [])
        end = horizon if span.end is None else span.end
        covered = union_seconds((max(child.start, span.start), min(_end(child, horizon), end)) for child in below)
        seconds = max(end - span.start, 0.0)
        built[span.id] = Node(span, tuple(built[child.id] for child in below), seconds, max(seconds - covered, 0.0))
    return tuple(built[span.id] for span in children.get(None, []))


def union_seconds(intervals: Iterable[tuple[float, float]]) -> float:
    """Return how much time at least one of the intervals covers.

    >>> union_seconds([(0, 2), (1, 3), (5, 6)])
    4.0
    """
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        if end > reached:
            covered += end - max(start, reached)
            reached = end
    return covered


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the values do not exceed; `ordered` is sorted, not empty.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    # Whole thousandths, because 0.95 * 20 is a little more than 19 as a float.
    rank = -(-len(ordered) * round(share * 1000) // 1000)
    return ordered[max(rank, 1) - 1]


def timings_by_type(spans: Sequence[Span]) -> tuple[Timing, ...]:
    """Return a timing for each event type, the longest in total first; waits are those that the spans themselves report."""
    groups: dict[str, list[Node]] = {}
    for node in walk(build_forest(spans)):
        groups.setdefault(node.span.type, []).append(node)
    timings = [_timing(label, nodes, nodes) for label, nodes in groups.items()]
    return tuple(sorted(timings, key=lambda timing: (-timing.total, timing.label)))


def timings_by_job(spans: Sequence[Span]) -> tuple[Timing, ...]:
    """Return a timing for each job (an outermost span of type async_job), by their start; waits are those of all below it."""
    jobs: dict[str, tuple[list[Node], list[Node]]] = {}
    waiting = list(reversed(build_forest(spans)))
    while waiting:
        node = waiting.pop()
        if node.span.type == CBEventType.ASYNC_JOB.value:
            heads, below = jobs.setdefault(node.span.name or node.span.type, ([], []))
            heads.append(node)
            below.extend(walk([node]))
        else:
            waiting.extend(reversed(node.children))
    return tuple(_timing(label, heads, below) for label, (heads, below) in jobs.items())


def walk(forest: Iterable[Node]) -> Iterable[Node]:
    """Yield all nodes, a parent before its children."""
    waiting = list(forest)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def _timing(label: str, heads: Sequence[Node], all_nodes: Sequence[Node]) -> Timing:
    waits = {name: sum(_number(node.span, f"waits.{name}") for node in all_nodes) for name in WAITS}
    return Timing(
        label,
        len(heads),
        sum(node.seconds for node in heads),
        sum(node.own_seconds for node in heads),
        waits,
        sum(node.span.status == "failed" for node in heads),
    )


def _number(span: Span, key: str) -> float:
    value = span.attributes.get(key, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def _horizon(spans: Sequence[Span]) -> float:
    return max((_end(span, span.start) for span in spans), default=0.0)


def _end(span: Span, horizon: float) -> float:
    return horizon if span.end is None else span.end
