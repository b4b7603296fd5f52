"""What work takes: seconds by what they were spent on, texts on their way, requests, tokens, cost; and the processors there are for it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from operator import add, attrgetter


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds of one batch, by what they were spent on.

    `queue` for a free slot or worker thread, `rate` for a rate limit, `gate` after a throttle, `backoff` before another attempt; `ship` is
    on the way to a worker of an executor and back; `connect` is making connections, `request` the rest of a call until its last byte,
    `compute` the work of a model on our own threads, `decode` reading and proving the reply; `store` is writing to a vector store, or
    searching it, `write` the wait until vectors are durable in the ledger; `batches` is waiting for batches at a provider.
    """

    queue: float = 0.0
    rate: float = 0.0
    gate: float = 0.0
    backoff: float = 0.0
    ship: float = 0.0
    connect: float = 0.0
    request: float = 0.0
    compute: float = 0.0
    decode: float = 0.0
    store: float = 0.0
    write: float = 0.0
    batches: float = 0.0

    def __add__(self, other: Waits) -> Waits:
        mine, theirs = _seconds(self), _seconds(other)
        # To make one takes longer than to see that nothing was waited for, as is usual.
        if not any(theirs):
            return self
        return Waits(*map(add, mine, theirs)) if any(mine) else other

    def payload(self) -> dict[str, float]:
        """Return them as keys of an event's payload, `waits.<name>`, without those that are 0.

        >>> Waits(rate=1.5).payload()
        {'waits.rate': 1.5}
        """
        return {name: seconds for name, seconds in zip(_KEYS, _seconds(self), strict=True) if seconds}

    @property
    def total(self) -> float:
        """Return all of them together."""
        return math.fsum(_seconds(self))

    @property
    def in_line(self) -> float:
        """Return the seconds in which nobody worked on the batch."""
        return self.queue + self.rate + self.gate + self.backoff + self.ship + self.connect


_seconds = attrgetter(*(item.name for item in fields(Waits)))
_KEYS = tuple(f"waits.{item.name}" for item in fields(Waits))


@dataclass(frozen=True, slots=True)
class Load:
    """How much is sent: the number of texts, and their `size` in UTF-8 bytes, those left out that a model cuts off.

    >>> Load(2, 300) - Load(3, 100) + Load(1, 50)
    Load(texts=1, size=250)
    """

    texts: int = 0
    size: int = 0

    def __add__(self, other: Load) -> Load:
        return Load(self.texts + other.texts, self.size + other.size)

    def __sub__(self, other: Load) -> Load:
        return Load(max(self.texts - other.texts, 0), max(self.size - other.size, 0))


@dataclass(frozen=True, slots=True)
class Usage:
    """What requests used: `tokens` as the server counts them, `cost` in USD where a price or the server says it.

    `output_tokens` are those of `tokens` that a chat model has written.
    """

    requests: int = 0
    retries: int = 0
    tokens: int = 0
    cost: float | None = None
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.requests + other.requests,
            self.retries + other.retries,
            self.tokens + other.tokens,
            sum(costs) if costs else None,
            self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class DeliveryOffer:
    """What a job costs in USD and takes in seconds if it is delivered in one way; None when unknown."""

    cost: float | None = None
    seconds: float | None = None


def cost_of(tokens: int, price: float) -> float:
    """Return what tokens cost in USD, at a price for a million of them.

    >>> cost_of(500_000, 0.5)
    0.25
    """
    return tokens * price / 1e6


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
