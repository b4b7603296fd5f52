"""Two runs side by side: what each has done in numbers, what changed, and what of it explains the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncrun.trace.percentiles import Percentiles
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import (
    WAITS,
    SpanNode,
    build_forest,
    number_of,
    outermost_jobs,
    percentiles_of_nodes,
    union_seconds,
    waits_of,
    walk,
)
from asyncrun.trace.used_concurrency import UsedConcurrency, concurrency_of

NOTICEABLE = 0.05
"""A change by less than this share of the former value is noise."""
SHORTEST = 0.05
"""Seconds below which a difference is noise."""
PAIRED = ("rate", "batch")
"""Groups that say nothing when one of the runs had no such work."""


@dataclass(frozen=True, slots=True)
class Change:
    """One number of both runs.

    `group` is work, time, rate, waits, batch, retries, concurrency or suspended; `unit` is "s", "/s" or empty.
    """

    group: str
    name: str
    before: float
    after: float
    unit: str = ""

    @property
    def share(self) -> float | None:
        """Return by which share of the former value it changed, None when that was 0."""
        return (self.after - self.before) / self.before if self.before else None

    @property
    def noticeable(self) -> bool:
        """Return whether the change is more than noise."""
        difference = abs(self.after - self.before)
        least = SHORTEST if self.unit == "s" and self.group != "batch" else 1e-9
        return difference > least and difference > NOTICEABLE * abs(self.before)


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting that is not the same in both runs; None where it is not known."""

    name: str
    before: str | None
    after: str | None


def changes_between(before: Measures, after: Measures) -> tuple[Change, ...]:
    """Return all numbers of both, those first that explain the others, without those that there is nothing to say about."""
    changes = [
        Change("time", "seconds", before.seconds, after.seconds, "s"),
        Change("work", "items", before.items, after.items),
        Change("work", "new items", before.sent, after.sent),
        Change("work", "cached", before.cached, after.cached),
        Change("work", "tokens", before.tokens, after.tokens),
        Change("work", "requests", before.requests, after.requests),
        Change("rate", "new items", before.rate(before.sent), after.rate(after.sent), "/s"),
        Change("rate", "tokens", before.rate(before.tokens), after.rate(after.tokens), "/s"),
        *(Change("waits", name, before.waits.get(name, 0.0), after.waits.get(name, 0.0), "s") for name in WAITS),
        Change("batch", "p50", before.batch.p50, after.batch.p50, "s"),
        Change("batch", "p95", before.batch.p95, after.batch.p95, "s"),
        Change("retries", "retries", before.retries, after.retries),
        Change("retries", "failed items", before.failed, after.failed),
        Change("concurrency", "most", before.used.most, after.used.most),
        Change("concurrency", "mean", before.used.mean, after.used.mean),
        Change("suspended", "suspended", before.suspended, after.suspended, "s"),
    ]
    return tuple(
        change for change in changes if (change.before and change.after) or (change.group not in PAIRED and change.before != change.after)
    )


def settings_between(before: RunRecord, after: RunRecord) -> tuple[SettingChange, ...]:
    """Return what is not the same about the two runs themselves: version, host, job file, and the settings that they recorded."""
    ours, theirs = _settings(before), _settings(after)
    names = list(dict.fromkeys([*ours, *theirs]))
    return tuple(SettingChange(name, ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name))


def _settings(run: RunRecord) -> dict[str, str]:
    found = {"version": run.version, "host": run.host}
    if run.job_file is not None:
        found["job file"] = run.job_file
    if run.job_file_hash is not None:
        found["job file's content"] = run.job_file_hash[:12]
    found.update({str(name): str(value) for name, value in run.settings.items()})
    return found


@dataclass(frozen=True, slots=True)
class Measures:
    """Numbers of a run or of a job.

    `seconds` is the time in which it was open, `batch` how the durations of its requests are percentiles, `used` how many events were
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
    batch: Percentiles
    used: UsedConcurrency
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
    jobs: dict[str, list[SpanNode]] = {}
    for head in outermost_jobs(build_forest(spans, details=False)):
        jobs.setdefault(head.label, []).append(head)
    return {name: _measure(heads) for name, heads in jobs.items()}


def _measure(heads: Sequence[SpanNode], suspended: float = 0.0) -> Measures:
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
        batch=percentiles_of_nodes(requests),
        used=concurrency_of(heads),
        suspended=suspended,
    )


def _sum(heads: Sequence[SpanNode], leaves: Sequence[SpanNode], key: str) -> float:
    """Return what the jobs say at their end; of one that has not ended, what its requests say."""
    if all(key in head.span.attributes for head in heads):
        return sum(number_of(head.span, key) for head in heads)
    return sum(number_of(node.span, key) for node in leaves)


def _longest_type(nodes: Sequence[SpanNode]) -> list[SpanNode]:
    groups: dict[str, list[SpanNode]] = {}
    for node in nodes:
        groups.setdefault(node.span.type, []).append(node)
    return max(groups.values(), key=lambda group: sum(node.seconds for node in group), default=[])
