"""Where the time of a run went: spans as a tree, with their own time and what they waited for, by type, by job and in lanes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from asyncrun.callbacks.schema import CBEventType
from asyncrun.trace.percentiles import Percentiles, percentiles_of
from asyncrun.trace.run_record import Span
from asyncrun.usage import Waits

WAITS = tuple(item.name for item in fields(Waits))
"""What a span can wait for: its attribute `waits.<name>` has the seconds."""
_WAIT_KEYS = tuple(f"waits.{name}" for name in WAITS)
SHORTEST_WAIT = 0.0005
"""Seconds of a wait that are shown as something other than 0."""
DETAILS = frozenset({CBEventType.ATTEMPT.value, CBEventType.WAIT.value})
"""Types of what happens inside of a batch; the batch has the sums of it."""
FOLDED = "folded.count"
"""The attribute of a span that stands for many events."""
MOST_LANES = 40
"""Jobs that are shown one by one; a program that makes thousands gets them summed up."""
OTHERS = "others"


@dataclass(frozen=True, slots=True, eq=False)
class SpanNode:
    """A span with its children.

    `seconds` is its duration (of an open span the time up to the last thing that the trace knows, of folded events the sum),
    `own_seconds` that without the time in which at least one child was open, `end` its end in seconds since 1970. `count` is how
    many events it stands for, `failed` how many of them failed.
    """

    span: Span
    children: tuple[SpanNode, ...]
    seconds: float
    own_seconds: float
    end: float
    count: int
    failed: int

    @property
    def folded(self) -> bool:
        """Return whether it stands for many events that are alike."""
        return FOLDED in self.span.attributes

    @property
    def label(self) -> str:
        """Return its name, or its type when it has none."""
        return self.span.name or self.span.type


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of several spans: `total` is the sum of their durations, `own` that of their own time."""

    label: str
    count: int
    total: float
    own: float
    waits: Mapping[str, float]
    percentiles: Percentiles
    failed: int = 0


def build_forest(spans: Sequence[Span], *, details: bool = True) -> tuple[SpanNode, ...]:
    """Return the outermost spans, each with its children, all by their start; without `details` a batch counts as one thing.

    `spans` are ordered by id. A span whose parent is not there, or does not stand before it, counts as outermost.
    """
    horizon = _horizon(spans)
    if not details:
        spans = [span for span in spans if span.type not in DETAILS]
    known: set[int] = set()
    children: dict[int | None, list[Span]] = {}
    for span in spans:
        children.setdefault(span.parent if span.parent in known else None, []).append(span)
        known.add(span.id)
    # From the last to the first: a span's children come after it, so they are ready when it is built.
    built: dict[int, SpanNode] = {}
    for span in reversed(spans):
        built[span.id] = _node(span, tuple(built[child.id] for child in children.get(span.id, [])), horizon)
    return tuple(built[span.id] for span in children.get(None, []))


def outermost_jobs(forest: Sequence[SpanNode]) -> tuple[SpanNode, ...]:
    """Return the jobs (spans of type async_job) that are in no other job, by their start."""
    found: list[SpanNode] = []
    waiting = list(reversed(forest))
    while waiting:
        node = waiting.pop()
        if node.span.type == CBEventType.ASYNC_JOB.value:
            found.append(node)
        else:
            waiting.extend(reversed(node.children))
    return tuple(found)


def union_seconds(intervals: Iterable[tuple[float, float]]) -> float:
    """Return how much time at least one of the intervals covers.

    >>> union_seconds([(0, 2), (1, 3), (5, 6)])
    4.0
    """
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        if end > max(start, reached):
            covered += end - max(start, reached)
            reached = end
    return covered


def percentiles_of_nodes(nodes: Iterable[SpanNode]) -> Percentiles:
    """Return the percentiles of the durations of those that have ended."""
    exact: list[float] = []
    folds: list[Mapping[str, object]] = []
    for node in nodes:
        if node.folded:
            folds.append(node.span.attributes)
        elif node.span.end is not None:
            exact.append(node.seconds)
    return percentiles_of(exact, folds)


def timings_by_type(forest: Sequence[SpanNode]) -> tuple[Timing, ...]:
    """Return a timing for each event type, the longest in total first; waits are those that the spans themselves report."""
    groups: dict[str, list[SpanNode]] = {}
    for node in walk(forest):
        groups.setdefault(node.span.type, []).append(node)
    timings = [_timing(label, nodes, nodes) for label, nodes in groups.items()]
    return tuple(sorted(timings, key=lambda timing: (-timing.total, timing.label)))


def timings_by_job(forest: Sequence[SpanNode]) -> tuple[Timing, ...]:
    """Return a timing for each job (an outermost span of type async_job), by their start; waits are those of all below it."""
    jobs: dict[str, tuple[list[SpanNode], list[SpanNode]]] = {}
    for head in outermost_jobs(forest):
        heads, below = jobs.setdefault(head.label, ([], []))
        heads.append(head)
        below.extend(node for node in walk([head]) if node.span.type not in DETAILS)
    return tuple(_timing(label, heads, below) for label, (heads, below) in jobs.items())


def walk(forest: Iterable[SpanNode]) -> Iterable[SpanNode]:
    """Yield all nodes, a parent before its children."""
    waiting = list(forest)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def number_of(span: Span, key: str) -> float:
    """Return an attribute that is a number, 0 when it is not there or is none."""
    value = span.attributes.get(key, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def waits_of(nodes: Iterable[SpanNode]) -> dict[str, float]:
    """Return the seconds that the spans themselves report, by what they waited for."""
    sums = dict.fromkeys(_WAIT_KEYS, 0.0)
    for node in nodes:
        for key, value in node.span.attributes.items():
            if key in sums and isinstance(value, int | float):
                sums[key] += value
    return dict(zip(WAITS, sums.values(), strict=True))


def _node(span: Span, below: tuple[SpanNode, ...], horizon: float) -> SpanNode:
    end = _end(span, horizon)
    if FOLDED in span.attributes:
        count, failed = round(number_of(span, FOLDED)), round(number_of(span, "folded.failed"))
        return SpanNode(span, below, number_of(span, "folded.seconds"), number_of(span, "folded.own"), end, count, failed)
    seconds = max(end - span.start, 0.0)
    # Where children are folded their intervals are lost, but not how much time they cover.
    covered = span.attributes.get("folded.below")
    if not isinstance(covered, int | float):
        covered = union_seconds((max(child.span.start, span.start), min(child.end, end)) for child in below) if below else 0.0
    return SpanNode(span, below, seconds, max(seconds - covered, 0.0), end, 1, int(span.status == "failed"))


def _timing(label: str, heads: Sequence[SpanNode], all_nodes: Sequence[SpanNode]) -> Timing:
    return Timing(
        label,
        sum(node.count for node in heads),
        sum(node.seconds for node in heads),
        sum(node.own_seconds for node in heads),
        waits_of(all_nodes),
        percentiles_of_nodes(heads),
        sum(node.failed for node in heads),
    )


def _horizon(spans: Sequence[Span]) -> float:
    return max((_end(span, span.start) for span in spans), default=0.0)


def _end(span: Span, horizon: float) -> float:
    return horizon if span.end is None else span.end


def lanes_of(forest: Sequence[SpanNode]) -> dict[str, list[SpanNode]]:
    """Return the outermost jobs by their names, in the order of their start; what is in no job, or past the last lane, is one lane."""
    jobs = outermost_jobs(forest)
    inside = {id(job) for job in jobs}
    lanes: dict[str, list[SpanNode]] = {}
    others: list[SpanNode] = [node for node in forest if id(node) not in inside and not _holds(node, inside)]
    for job in jobs:
        if job.label in lanes or len(lanes) < MOST_LANES:
            lanes.setdefault(job.label, []).append(job)
        else:
            others.append(job)
    if others:
        lanes.setdefault(OTHERS, []).extend(others)
    return lanes


def _holds(node: SpanNode, wanted: set[int]) -> bool:
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if id(current) in wanted:
            return True
        waiting.extend(current.children)
    return False
