"""How a job stands while it runs, and the result that follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from asyncrun.aio.limits import Limits
from asyncrun.errors import AsyncrunError, BudgetError, DamagedStateError, TooManyFailuresError, TryLaterError
from asyncrun.failure_groups import FailureGroups
from asyncrun.humanize import counted
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.forecast import at_limits, bound_by
from asyncrun.jobs.in_flight import LeasedTexts
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.ports import Progress
from asyncrun.records import EmbedFailure, ItemFailure
from asyncrun.results import BatchUse, Counts, JobResult, Status
from asyncrun.usage import Usage, Waits

KEPT_FAILURES = 100
"""How many failures a result carries; the ledger has all."""


class JobCounters:
    """Counts the items of one job as they end, and tells the progress.

    Args:
        context: the job's surroundings.
        kind: the job's kind.
        progress: who is told.
    """

    def __init__(self, context: JobContext, kind: str, progress: Progress) -> None:
        self.name, self.kind = context.name, kind
        self.counts = Counts()
        self.usage = Usage()
        self.waits = Waits()
        self.failures: list[ItemFailure] = []
        self.groups = FailureGroups()
        self.progress = progress
        self.context = context
        self.delivery: BatchUse | None = None
        self._started = context.clock.monotonic()
        self._total = 0
        self._awaited: set[str] = set()

    def start(self, total: int) -> None:
        """Tell how many items there are."""
        self._total = total
        self.progress.task_started(self.name, total)

    def add(self, **counts: int) -> None:
        """Add items that have ended: ok, failed, skipped, cached, removed, truncated."""
        ended = counts.get("ok", 0) + counts.get("failed", 0) + counts.get("skipped", 0)
        more = Counts(items=ended, **counts)
        self.counts += more
        self.progress.advance(self.name, more)

    def fail(self, failure: ItemFailure) -> None:
        """Add an item that has failed."""
        failure = self.context.redacted(failure)
        self.groups.add(failure)
        self._name(failure)

    def _name(self, failure: ItemFailure) -> None:
        if len(self.failures) < KEPT_FAILURES:
            self.failures.append(failure)
        self.add(failed=1)
        self.progress.item_failed(self.name, failure)

    def take(self, other: JobCounters) -> None:
        """Add what another one has counted of the same items, without those that it has done: here they are not done yet."""
        self.delivery = other.delivery or self.delivery
        self.use(other.usage)
        self.spend(other.waits)
        self.add(skipped=other.counts.skipped)
        self.groups.add_all(other.groups.largest_first())
        for failure in other.failures:
            self._name(failure)
        if more := other.counts.failed - len(other.failures):
            self.add(failed=more)

    def say(self, sentences: Iterable[str]) -> None:
        """Tell what a person should read before the job sends anything."""
        for sentence in sentences:
            self.progress.warn(f"{self.name}: {sentence}")

    def use(self, usage: Usage) -> None:
        """Add what requests used."""
        self.usage += usage
        self.progress.use(self.name, usage)

    def spend(self, waits: Waits) -> None:
        """Add what the time of a batch was spent on."""
        self.waits += waits

    async def wait_for(self, leased: LeasedTexts) -> dict[bytes, EmbedFailure]:
        """Return what failed where others sent texts of this job, once they have ended; tells of each other run, once.

        Raises TryLaterError as soon as this job must end early.
        """
        for other in leased.others:
            if not other.here and other.of not in self._awaited:
                self._awaited.add(other.of)
                self.say([f"waiting for another run ({other.of}), which is sending {counted(other.texts, 'text')} of this job"])
        return await self.context.wait_for(leased.wait())

    def too_many(self, more: int = 0) -> TooManyFailuresError | None:
        """Return the error that ends the job when more items failed than may; `more` are failed but not counted yet."""
        failed = self.counts.failed + more
        if self.context.max_failures is not None:
            allowed = self.context.max_failures.of(self._total)
            if failed > allowed:
                return TooManyFailuresError(f"{failed} of {self._total} items failed, {allowed} may (max_failures)")
        elif failed and failed == self._total - self.counts.skipped:
            return TooManyFailuresError(f"all {failed} items failed")
        return None

    @property
    def nothing_accepted(self) -> bool:
        """Whether refusals may be the endpoint's fault: it has accepted nothing in this run."""
        return self.counts.ok == self.counts.cached

    def with_doubt(self, known: KnownFailure, before: KnownFailure | None) -> KnownFailure:
        """Return a failure as one that the next run asks again where nothing was accepted, given how the item failed before.

        What was refused before, the same text with the same settings, is no longer in doubt where others have been accepted before.
        """
        if not self.nothing_accepted:
            return known
        if before is None or (before.space, before.key, before.failure.reason) != (known.space, known.key, known.failure.reason):
            return replace(known, in_doubt=True)
        return replace(known, in_doubt=before.in_doubt and not self.counts.cached)

    def unfinished(self) -> DamagedStateError | None:
        """Return the error of a job that is done although items of it have not ended, as when their vectors were dropped meanwhile."""
        if self.counts.items == self._total:
            return None
        return DamagedStateError(
            f"{self.counts.items:,} of {self._total:,} items have ended: vectors that were finished are not in the ledger any more",
            hint="Run the same command again: what is damaged or was dropped is sent again.",
        )

    def result(
        self, *, limits: Limits | None = None, output: str | None = None, error: AsyncrunError | None = None, note: str | None = None
    ) -> JobResult:
        """Return how the job ended: by an error, or with what was counted, and then with a `note` about it.

        `limits` are those of its endpoint.
        """
        _, tightest = at_limits(limits, self.usage.requests, self.usage.tokens, self.counts.ok - self.counts.cached)
        if error is not None:
            status = Status.STOPPED if isinstance(error, TryLaterError | BudgetError) else Status.FAILED
            exit_code = error.exit_code
        else:
            status = Status.PARTIAL if self.counts.failed else Status.SUCCEEDED
            exit_code = 3 if self.counts.failed else 0
        groups, failed_by = self.groups.largest_first(), Counter[str]()
        for group in groups:
            failed_by[group.first.reason] += group.count
        return JobResult(
            name=self.name,
            kind=self.kind,
            status=status,
            exit_code=exit_code,
            reason=note if error is None else str(error),
            hint=error.hint if error is not None else None,
            counts=self.counts,
            usage=self.usage,
            seconds=self.context.clock.monotonic() - self._started,
            bound_by=bound_by(self.waits, tightest),
            output=output,
            failures=tuple(self.failures),
            waits=self.waits,
            failed_by=dict(failed_by),
            failure_groups=groups,
            delivery=self.delivery,
        )
