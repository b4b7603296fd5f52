"""What a run, or one of its jobs, has done in numbers: the work, how fast, what was waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncrun.trace.run_record import Span
from asyncrun.trace.span_tree import Node, build_forest, number_of, outermost_jobs, spread_of_nodes, union_seconds, waits_of, walk
from asyncrun.trace.spread import Spread
from asyncrun.trace.used_concurrency import Concurrency, concurrency_of


@dataclass(frozen=True, slots=True)
class Measures:
    """Numbers of a run or of a job.

    `seconds` is the time in which it was open, `batch` how the durations of its requests are spread, `used` how many events were
    open at once, `suspended` for how many seconds the machine was, which is part of no other number.
    """

    seconds: float
    items: float
    cached: float
    tokens: float
    requests: float
    retries: float
    failed: float
    waits: Mapping[str, float]
    batch: Spread
    used: Concurrency
    suspended: float = 0.0

    @property
    def sent(self) -> float:
        """Return the items that were not there from an earlier run."""
        return max(self.items - self.cached, 0.0)

    def rate(self, amount: float) -> float:
        """Return an amount for each second."""
        return amount / self.seconds if self.seconds > 0 else 0.0


def measure_run(spans: Sequence[Span]) -> Measures:
    """Return the numbers of all jobs together; what is in no job counts too."""
    return _measure(build_forest(spans, details=False), suspended=sum(number_of(span, "suspended") for span in spans))


def measure_jobs(spans: Sequence[Span]) -> dict[str, Measures]:
    """Return the numbers of each job by its name, in the order of their start."""
    jobs: dict[str, list[Node]] = {}
    for head in outermost_jobs(build_forest(spans, details=False)):
        jobs.setdefault(head.label, []).append(head)
    return {name: _measure(heads) for name, heads in jobs.items()}


def _measure(heads: Sequence[Node], suspended: float = 0.0) -> Measures:
    nodes = list(walk(heads))
    leaves = [node for node in nodes if not node.children]
    outermost = {id(head) for head in heads}
    inside = [node for node in leaves if id(node) not in outermost]
    requests = _longest_type([node for node in inside if "tokens" in node.span.attributes]) or _longest_type(inside)
    return Measures(
        seconds=union_seconds((head.span.start, head.end) for head in heads),
        items=_sum(heads, leaves, "items"),
        cached=_sum(heads, leaves, "cached"),
        tokens=_sum(heads, leaves, "tokens"),
        requests=_sum(heads, leaves, "requests"),
        retries=sum(number_of(node.span, "retries") for node in leaves),
        failed=_sum(heads, leaves, "failed"),
        waits=waits_of(nodes),
        batch=spread_of_nodes(requests),
        used=concurrency_of(heads),
        suspended=suspended,
    )


def _sum(heads: Sequence[Node], leaves: Sequence[Node], key: str) -> float:
    """Return what the jobs say at their end; of one that has not ended, what its requests say."""
    if all(key in head.span.attributes for head in heads):
        return sum(number_of(head.span, key) for head in heads)
    return sum(number_of(node.span, key) for node in leaves)


def _longest_type(nodes: Sequence[Node]) -> list[Node]:
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(node.span.type, []).append(node)
    return max(groups.values(), key=lambda group: sum(node.seconds for node in group), default=[])
