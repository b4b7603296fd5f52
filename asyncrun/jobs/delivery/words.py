"""What is said of batches: where they are, how far they have come, and what they have left."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.batches.interface import BatchState, ProviderBatch
from asyncrun.humanize import counted, local_time
from asyncrun.ledger.provider_batches import BatchRecord

_WHY = {
    BatchState.EXPIRED: "has expired",
    BatchState.CANCELLED: "was cancelled",
    BatchState.ENDED: "has ended",
    BatchState.FAILED: "has failed",
}


def batches_of(records: Sequence[BatchRecord]) -> str:
    """Return how many batches of how many requests these are."""
    return f"{counted(len(records), 'batch')} of {counted(sum(record.requests for record in records), 'request')}"


def still_there(records: Sequence[BatchRecord], host: str, now: float, reason: str) -> str:
    """Return what waits at a provider when a run ends, and why it ends."""
    if not records:
        return f"stopped early: {reason}"
    be = "is" if len(records) == 1 else "are"
    # The reason stands last: a run that ends at its planned time is known by it, and told to nobody.
    return f"{batches_of(records)} {be} at {host} since {local_time(min(record.created for record in records), now)}: {reason}"


def how_far(told: Sequence[ProviderBatch], records: Sequence[BatchRecord], host: str) -> str:
    """Return how many requests of batches are answered, as far as their provider tells."""
    done = sum((each.succeeded or 0) + (each.failed or 0) for each in told)
    return f"{host}: {done:,} of {sum(record.requests for record in records):,}"


def overdue(record: BatchRecord, now: float) -> str:
    """Return what is said of a batch that its provider does not end."""
    since = local_time(record.created, now)
    return f"the batch {record.batch} is at {record.host} since {since} without an end: it is cancelled, and what is done is collected"


def left_over(record: BatchRecord, told: ProviderBatch, left: int, *, online: bool) -> str:
    """Return what a batch has left undone, and what becomes of it."""
    then = "sent online" if online else "sent again"
    what = f"a batch of {counted(record.requests, 'request')} at {record.host} {_WHY[told.state]}"
    return f"{what}: {left:,} {'was' if left == 1 else 'were'} not done and {'is' if left == 1 else 'are'} {then}"
