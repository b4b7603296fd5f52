"""What every job gets: its name, the ledger, the clock, who listens, and when it must stop."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncrun.aio.stop import MAX_RUNTIME, Stop
from asyncrun.callbacks.manager import CallbackManager
from asyncrun.clock import Clock
from asyncrun.errors import TryLaterError
from asyncrun.jobfile.values import Threshold
from asyncrun.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class JobContext:
    """The surroundings of one job in one run.

    `max_failures` is None when every item but one may fail. `skip` holds ids that are never sent. `workers` is how many batches may be in
    flight, None: as many as the embedder can use. `deadline` is a monotonic time after which no batch starts (max_runtime).
    """

    name: str
    ledger: Ledger
    stop: Stop
    clock: Clock
    manager: CallbackManager
    max_failures: Threshold | None = None
    skip: frozenset[str] = field(default_factory=frozenset)
    workers: int | None = None
    deadline: float | None = None

    def stopped(self) -> TryLaterError | None:
        """Return the error of a job that must end early, None while it need not."""
        if self.stop.requested:
            return TryLaterError(f"stopped early: {self.stop.reason}")
        if self.deadline is not None and self.clock.monotonic() >= self.deadline:
            return TryLaterError(f"stopped early: {MAX_RUNTIME}")
        return None
