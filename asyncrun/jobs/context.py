"""What every job gets: its name, the ledger, the clock, who listens, and when it must stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from asyncrun.aio.stop import GRACE, MAX_RUNTIME, StopRequest
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import Clock
from asyncrun.errors import AsyncrunError, StorageError, TryLaterError
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.budget import JobBudget, ReservedAmount
from asyncrun.jobs.disk_space import FreeSpace, free_space
from asyncrun.jobs.forecast import Forecast, TokenRate
from asyncrun.jobs.in_flight import Leases
from asyncrun.jobs.run_options import RunOptions
from asyncrun.jobs.unfinished_texts import Spool
from asyncrun.ledger.job_records import Amount, Generation, KnownFailure, record_finished, set_failures
from asyncrun.ledger.ledger import Ledger
from asyncrun.ports import Executor
from asyncrun.records import EmbedFailure, ItemFailure, Space
from asyncrun.state_folder import CLAIMS

if TYPE_CHECKING:
    from asyncrun.batches.interface import Purpose
    from asyncrun.jobs.delivery.work import Delivery

T = TypeVar("T")
Failure = TypeVar("Failure", ItemFailure, EmbedFailure)


@dataclass(frozen=True, slots=True)
class JobContext:
    """The surroundings of one job in one run.

    Args:
        name: the job's name.
        job_id: the name that the ledger keeps it under: job files of one folder share a ledger.
        max_failures: None when every item but one may fail.
        skip: ids that are never sent.
        workers: how many batches may be in flight, None: as many as the embedder can use.
        deadline: a monotonic time after which no batch starts (max_runtime).
        rate: the tokens per byte of the job's space.
        forecast: what a plan foresees for the jobs before this one.
        options: those of the run.
        executor: where calls run, None for this process.
        redact: takes the run's secrets out of words that others have written.
        deliveries: open where batches go, by what is asked for; of what is not there, requests are sent one by one.

    `leases` say what this job sends while others wait for it, and what others send.
    """

    name: str
    job_id: str
    ledger: Ledger
    stop: StopRequest
    clock: Clock
    manager: CallbackManager
    max_failures: Threshold | None = None
    skip: frozenset[str] = field(default_factory=frozenset)
    workers: int | None = None
    deadline: float | None = None
    rate: TokenRate = field(default_factory=TokenRate)
    forecast: Forecast = field(default_factory=Forecast)
    free_space: FreeSpace = free_space
    budget: JobBudget | None = None
    generation: Generation = field(default_factory=Generation)
    options: RunOptions = field(default_factory=RunOptions)
    executor: Executor | None = None
    redact: Callable[[str], str] = str
    deliveries: Mapping[Purpose, Callable[[], Delivery]] = field(default_factory=dict)
    leases: Leases = field(init=False)

    def __post_init__(self) -> None:
        # Here, in a worker thread, and not where they are used: the ledger's folder asks for the working directory.
        leases = Leases(self.ledger.folder / CLAIMS, self.job_id, self.clock, self.stopped)
        object.__setattr__(self, "leases", leases)

    @asynccontextmanager
    async def spool(self, folder: Path | None = None) -> AsyncIterator[Spool[Any]]:
        """Give a place for what is to be sent, in a folder, by default the ledger's; it ends with the block."""
        spool = await asyncio.to_thread(lambda: Spool[Any](folder or self.ledger.folder))
        try:
            yield spool
        finally:
            await asyncio.to_thread(spool.close)

    @asynccontextmanager
    async def reserve(self, expected: Callable[[], Amount]) -> AsyncIterator[ReservedAmount]:
        """Reserve what a call will use, where there is a budget; `expected` says how much, and may block. Raises as `JobBudget.reserve`."""
        if self.budget is None:
            yield ReservedAmount(Amount())
            return
        async with self.budget.reserve(await asyncio.to_thread(expected)) as reservation:
            yield reservation

    def unless_stopped(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items until the job must end early. Raises TryLaterError then."""
        for item in items:
            if self.stop.requested:
                raise TryLaterError(f"stopped early: {self.stop.reason}")
            yield item

    def redacted(self, failure: Failure) -> Failure:
        """Return a failure without secrets in its words, which may be those of a plugin."""
        return replace(failure, message=self.redact(failure.message))

    async def keep_failures(self, failures: Iterable[KnownFailure]) -> None:
        """Put the failures of the job in the place of its former ones, without secrets."""
        await set_failures(self.ledger, self.job_id, [replace(known, failure=self.redacted(known.failure)) for known in failures])

    async def finish(self, space: Space, error: AsyncrunError | None) -> AsyncrunError | None:
        """Record that the job has finished, and its space, unless `error` has ended it or only its first items were run (`--limit`).

        Returns the error, or that of the ledger's disk.
        """
        if error is not None or self.options.limit is not None:
            return error
        try:
            await record_finished(self.ledger, self.job_id, space)
        except StorageError as raised:
            return raised
        return None

    def seconds_left(self) -> float | None:
        """Return in how many seconds requests in flight are cut off, None without a deadline."""
        return None if self.deadline is None else max(self.deadline - self.clock.monotonic(), 0.0) + GRACE

    async def wait_for(self, others: Awaitable[T]) -> T:
        """Return what other jobs have done. Raises TryLaterError as soon as this job must end early."""
        left = None if self.deadline is None else max(self.deadline - self.clock.monotonic(), 0.0)
        waiting, stopping = asyncio.ensure_future(others), asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait((waiting, stopping), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise TryLaterError(f"stopped early: {self.stop.reason or MAX_RUNTIME}")
        finally:
            waiting.cancel()
            stopping.cancel()
            await asyncio.wait((waiting, stopping))

    def stopped(self) -> TryLaterError | None:
        """Return the error of a job that must end early, None while it need not."""
        if self.stop.requested:
            return TryLaterError(f"stopped early: {self.stop.reason}")
        if self.deadline is not None and self.clock.monotonic() >= self.deadline:
            return TryLaterError(f"stopped early: {MAX_RUNTIME}")
        return None
