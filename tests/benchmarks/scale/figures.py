"""What a simulated run says: how much of the limits it has used, whether it has exceeded them, and what was busiest. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asyncrun.aio.limits import WINDOW
from asyncrun.aio.throttling import FIRST_CONCURRENCY

from .flow import Case, Flow


@dataclass(frozen=True, slots=True)
class Use:
    """Of one limit: the share that was used in the steady stretch, and in the fullest 60 s of all."""

    share: float
    fullest: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The steady stretch of a run.

    Attributes:
        batches: a second.
        uses: of each limit there is.
        busy: the share of time in which each part was busy.
        in_flight: the mean of requests in flight.
    """

    batches: float
    uses: dict[str, Use]
    busy: dict[str, float]
    in_flight: float

    @property
    def bound(self) -> str:
        """Return what holds the run back."""
        full = [unit for unit, use in self.uses.items() if use.share >= 0.99]
        return " and ".join(f"the limit of {unit}" for unit in full) or max(self.busy, key=lambda part: self.busy[part])


def figures_of(flow: Flow, case: Case, warm: float) -> Figures:
    """Return what was so from `warm` seconds on, until the last batch began."""
    arrived, ended = np.array(flow.arrived), np.array(flow.ended)
    amounts = {"requests": np.ones(len(arrived)), "tokens": np.array(flow.tokens)}
    limits = {"requests": case.requests_per_minute, "tokens": case.tokens_per_minute}
    end = flow.fed_until
    # By what has ended: where the ledger is slower than the driver, more has arrived while the line before it grew.
    batches = int(((ended >= warm) & (ended < end)).sum()) / (end - warm)
    uses = {
        unit: Use(batches * WINDOW * float(amounts[unit].mean()) / limit, fullest(arrived, amounts[unit]) / limit)
        for unit, limit in limits.items()
        if limit is not None
    }
    last = float(ended[-1])
    slots = case.workers * (1 if case.computes else case.slots)
    workers = "the workers' cores" if case.computes else "calls in flight"
    busy = {
        workers: flow.workers_busy / last / slots,
        "the driver's core": flow.driver_busy / last,
        "the ledger's disk": flow.ledger_busy / last,
    }
    return Figures(batches, uses, busy, flow.workers_busy / last)


def fullest(times: np.ndarray, amounts: np.ndarray) -> float:
    """Return the most that came in any 60 s.

    >>> float(fullest(np.array([0.0, 30.0, 59.9, 60.0]), np.array([1.0, 1.0, 1.0, 5.0])))
    7.0
    """
    order = np.argsort(times, kind="stable")
    times, sums = times[order], np.append(0.0, np.cumsum(amounts[order]))
    ends = np.searchsorted(times, times + WINDOW, side="left")
    return float((sums[ends] - sums[:-1]).max(initial=0.0))


def seconds_to_grow(flow: Flow, needed: float) -> float:
    """Return after how many seconds so many requests may be in flight, when the concurrency grows on as it did from the start of a run."""
    return flow.fed_until * (needed - FIRST_CONCURRENCY) / (flow.allowed - FIRST_CONCURRENCY)
