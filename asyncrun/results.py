"""How a run, its jobs and an import ended or would end: counters, plans, results, and the exit code that follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from operator import add, attrgetter
from typing import Literal

from asyncrun.failure_groups import FailureGroup, FailureGroups
from asyncrun.records import ItemFailure
from asyncrun.usage import DeliveryOffer, Usage, Waits

EXIT_PRIORITY = (129, 130, 143, 70, 77, 74, 73, 2, 1, 4, 75, 3)
"""Which exit code wins when several apply: a signal first, a partial result last."""

NAMED_SHARDS = 20


class Status(StrEnum):
    """How a job or a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items of a job ended how: items = ok + failed + skipped; `cached` is part of `ok`."""

    items: int = 0
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    cached: int = 0
    removed: int = 0
    truncated: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(add, _counts(self), _counts(other)))


_counts = attrgetter(*(item.name for item in fields(Counts)))


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What a run of one job would do; nothing was sent to know it. `seconds`, `cost` and `disk` (bytes) are None when unknown.

    `inputs` are the texts that the requests hold, `exact` says whether `tokens` are counted and not estimated, `bound_by` which limit
    `seconds` follow from, `rebuild` whether documents go into a new generation of their collection, beside the one that is asked.
    `delivery` is `batch` where requests wait in batches of the provider: `cost` is then theirs and `seconds` the most that they take;
    `online` and `batch` are what both ways offer, None where there is one way. `steps` are the plans of which it consists where two models
    are asked one after the other.
    """

    name: str
    kind: str
    items: int
    new: int
    changed: int = 0
    unchanged: int = 0
    delete: int = 0
    failed: int = 0
    skipped: int = 0
    requests: int = 0
    inputs: int = 0
    tokens: int = 0
    cost: float | None = None
    seconds: float | None = None
    bound_by: str | None = None
    disk: int | None = None
    exact: bool = False
    rebuild: bool = False
    delivery: Literal["online", "batch"] = "online"
    online: DeliveryOffer | None = None
    batch: DeliveryOffer | None = None
    notes: tuple[str, ...] = ()
    steps: tuple[JobPlan, ...] = ()

    def noted(self, *notes: str) -> JobPlan:
        """Return the plan with these notes before its own."""
        return replace(self, notes=(*notes, *self.notes))


@dataclass(frozen=True, slots=True)
class JoinedShards:
    """Which of so many shards of a job have finished, and what describes the spaces of their vectors: one, where all were made alike.

    >>> JoinedShards("notes", 4, (1, 2, 4)).words
    'shard 3 of 4 is missing, or has not finished'
    """

    job: str
    of: int
    finished: tuple[int, ...]
    spaces: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[int, ...]:
        """Return the others."""
        return tuple(sorted({*range(1, self.of + 1)} - {*self.finished}))

    @property
    def words(self) -> str:
        """Return what there is to say of them."""
        missing = self.missing
        if not missing:
            return f"all {self.of:,} shards have finished" if self.of > 1 else "the only shard has finished"
        named = ", ".join(map(str, missing[:NAMED_SHARDS])) + (", ..." if len(missing) > NAMED_SHARDS else "")
        words = ("shard", "is", "has") if len(missing) == 1 else ("shards", "are", "have")
        return f"{words[0]} {named} of {self.of:,} {words[1]} missing, or {words[2]} not finished"


@dataclass(frozen=True, slots=True)
class Imported:
    """How many vectors and answers a ledger has taken in, and how many it had already.

    `shards` are those that the ledger has then of the job file, `others` the names of other job files that shards were of.
    """

    taken: int = 0
    known: int = 0
    shards: tuple[JoinedShards, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchUse:
    """What a job has done by batches in one run: how many it has submitted, how many rows came back, and how many still wait there."""

    batches: int = 0
    rows: int = 0
    waiting: int = 0

    def __add__(self, other: BatchUse) -> BatchUse:
        return BatchUse(self.batches + other.batches, self.rows + other.rows, self.waiting + other.waiting)


@dataclass(frozen=True, slots=True)
class JobResult:
    """How one job of a run ended. `bound_by` says what most of its batches' time went to, None when that is not known.

    `waits` are the seconds of all its batches. `failures` holds the first ones; `failed_by` counts all by their reason, `failure_groups` by
    what was wrong, the most frequent first. `delivery` is what it has done by batches, None for one that is asked
    online.
    """

    name: str
    kind: str
    status: Status
    exit_code: int
    reason: str | None = None
    hint: str | None = None
    counts: Counts = Counts()
    usage: Usage = Usage()
    seconds: float = 0.0
    bound_by: str | None = None
    output: str | None = None
    failures: tuple[ItemFailure, ...] = ()
    waits: Waits = Waits()
    failed_by: Mapping[str, int] = field(default_factory=dict)
    failure_groups: tuple[FailureGroup, ...] = ()
    delivery: BatchUse | None = None

    @property
    def groups(self) -> tuple[FailureGroup, ...]:
        """Return its failed items by what was wrong with them; a result that has not counted them has those of its first failures."""
        return self.failure_groups or FailureGroups(self.failures).largest_first()


@dataclass(frozen=True, slots=True)
class WorkerUse:
    """What one worker of an executor has done: calls that it answered, and the seconds from a free slot to the answer.

    `ship` seconds of these the calls were on the way there and back.
    """

    name: str
    calls: int
    seconds: float
    ship: float


@dataclass(frozen=True, slots=True)
class ExecutorUse:
    """What the workers of an executor have done, the busiest first; how many were lost, and the calls that were lost with them."""

    workers: tuple[WorkerUse, ...] = ()
    lost_workers: int = 0
    lost_calls: int = 0


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: the results of its jobs, and the exit code that follows from them.

    `shard` is which part it was, such as "2/4"; `executor` what workers have done, None for a run in one process.
    """

    run_id: str
    jobs: tuple[JobResult, ...]
    seconds: float
    signal: int | None = None
    shard: str | None = None
    executor: ExecutorUse | None = None

    @property
    def exit_code(self) -> int:
        """Return the exit code of the whole run."""
        codes = {job.exit_code for job in self.jobs}
        if self.signal is not None:
            codes.add(128 + self.signal)
        return winning_exit_code(codes)

    @property
    def status(self) -> Status:
        """Return the status of the whole run."""
        if self.signal is not None:
            return Status.STOPPED
        statuses = {job.status for job in self.jobs}
        for status in (Status.FAILED, Status.STOPPED, Status.CANCELLED, Status.PARTIAL):
            if status in statuses:
                return status
        return Status.SUCCEEDED

    @property
    def counts(self) -> Counts:
        """Return the counts of all jobs together."""
        return sum((job.counts for job in self.jobs), Counts())

    @property
    def bound_by(self) -> str | None:
        """Return what bound the job that took longest."""
        return max(self.jobs, key=lambda job: job.seconds).bound_by if self.jobs else None

    @property
    def usage(self) -> Usage:
        """Return the usage of all jobs together."""
        return sum((job.usage for job in self.jobs), Usage())


def winning_exit_code(codes: Iterable[int]) -> int:
    """Return the code that a caller should see when several apply.

    >>> winning_exit_code([0, 3, 75])
    75
    """
    present = set(codes) - {0}
    return next((code for code in EXIT_PRIORITY if code in present), max(present, default=0))
