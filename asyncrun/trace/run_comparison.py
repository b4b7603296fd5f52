"""Two runs side by side: what changed, from the work to the settings, and what of it explains the time."""

from __future__ import annotations

from dataclasses import dataclass

from asyncrun.trace.measures import Measures
from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.span_tree import WAITS

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
class Setting:
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


def settings_between(before: RunRecord, after: RunRecord) -> tuple[Setting, ...]:
    """Return what is not the same about the two runs themselves: version, host, job file, and the settings that they recorded."""
    ours, theirs = _settings(before), _settings(after)
    names = list(dict.fromkeys([*ours, *theirs]))
    return tuple(Setting(name, ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name))


def _settings(run: RunRecord) -> dict[str, str]:
    found = {"version": run.version, "host": run.host}
    if run.job_file is not None:
        found["job file"] = run.job_file
    if run.job_file_hash is not None:
        found["job file's content"] = run.job_file_hash[:12]
    found.update({str(name): str(value) for name, value in run.settings.items()})
    return found
