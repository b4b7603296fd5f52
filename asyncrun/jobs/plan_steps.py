"""Plans of jobs that ask two models one after the other: each step is a plan, and the job's follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from asyncrun.results import JobPlan
from asyncrun.usage import DeliveryOffer


def in_steps(plan: JobPlan, steps: Sequence[JobPlan]) -> JobPlan:
    """Return a plan of the same items whose requests, tokens, prices, times and notes are those of the steps.

    >>> embed = JobPlan("ask", "query", 9, 9, requests=1, tokens=90, cost=0.25, seconds=1.0, notes=("a note",))
    >>> answer = JobPlan("ask", "query", 9, 9, requests=9, tokens=900, cost=0.5, seconds=60.0, delivery="batch")
    >>> plan = in_steps(JobPlan("ask", "query", 9, new=9), [embed, answer])
    >>> plan.requests, plan.tokens, plan.cost, plan.seconds, plan.delivery, plan.notes
    (10, 990, 0.75, 61.0, 'batch', ('a note',))
    """
    busy = [step for step in steps if step.requests] or steps[:1]
    known = [(step.seconds, step.bound_by) for step in busy if step.seconds is not None]
    offers = any(step.batch is not None for step in busy)
    return replace(
        plan,
        requests=sum(step.requests for step in busy),
        inputs=sum(step.inputs for step in busy),
        tokens=sum(step.tokens for step in busy),
        exact=all(step.exact for step in busy),
        cost=_sum(step.cost for step in busy),
        seconds=sum(seconds for seconds, _ in known) if known else None,
        bound_by=max(known, key=lambda pace: pace[0])[1] if known else None,
        delivery="batch" if any(step.delivery == "batch" for step in busy) else "online",
        online=_together([step.online or _only_offer(step) for step in busy]) if offers else None,
        batch=_together([step.batch or _only_offer(step) for step in busy]) if offers else None,
        notes=tuple(note for step in steps for note in step.notes),
        steps=tuple(steps),
    )


def _only_offer(step: JobPlan) -> DeliveryOffer:
    return DeliveryOffer(step.cost, step.seconds)


def _together(offers: Sequence[DeliveryOffer]) -> DeliveryOffer:
    return DeliveryOffer(_sum(offer.cost for offer in offers), _sum(offer.seconds for offer in offers))


def _sum(amounts: Iterable[float | None]) -> float | None:
    """Return all of them together, None where one of them is unknown."""
    total = 0.0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
