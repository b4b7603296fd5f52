"""What a job costs and takes by batches and online, as a plan says it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from asyncrun.batches.interface import BatchTerms
from asyncrun.humanize import dollars, duration, local_time
from asyncrun.jobs.delivery.deadline import Step, choose
from asyncrun.jobs.delivery.words import batches_of
from asyncrun.ledger.provider_batches import BatchRecord
from asyncrun.results import JobPlan
from asyncrun.usage import DeliveryOffer

WORTH_TELLING = 1.0
"""USD that batches save at least where a plan of an online job speaks of them."""


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """How a job is delivered, as far as a plan needs it.

    Attributes:
        provider: Who is asked.
        terms: Those of its batch endpoint.
        batch: Whether the job file says so.
        due: Seconds since 1970 of its deadline, None without one.
        online_stragglers: Whether what a batch leaves is sent online at once.
        waiting: Its batches that lie there now, with something in them that it still asks.
        unwanted: Those that lie there with nothing of that.
        what: What is asked for, in a job that asks two models.
    """

    provider: str
    terms: BatchTerms
    batch: bool
    due: float | None = None
    online_stragglers: bool = False
    waiting: Sequence[BatchRecord] = ()
    unwanted: Sequence[BatchRecord] = ()
    what: str = ""


def with_delivery(plan: JobPlan, delivery: PlannedDelivery, now: float) -> JobPlan:
    """Return a plan, made as if all went online, with both prices and times in it, and those of the chosen way as its own.

    >>> terms = BatchTerms(requests=50_000, size=200_000_000)
    >>> plan = JobPlan("notes", "embed", 9, new=9, requests=1, tokens=500_000, cost=0.01, seconds=0.5)
    >>> planned = with_delivery(plan, PlannedDelivery("openai", terms, batch=True), now=0.0)
    >>> planned.delivery, planned.cost, planned.seconds, planned.online
    ('batch', 0.005, 86400.0, DeliveryOffer(cost=0.01, seconds=0.5))
    """
    terms = delivery.terms
    online = DeliveryOffer(plan.cost, plan.seconds)
    batch = DeliveryOffer(None if plan.cost is None else plan.cost * terms.price, terms.window if plan.requests else 0.0)
    plan = replace(plan, online=online, batch=batch)
    if not delivery.batch:
        saved = (online.cost or 0.0) - (batch.cost or 0.0)
        cheaper = [_cheaper(batch, terms)] if saved >= WORTH_TELLING else []
        return _noted(plan.noted(*_named(delivery, _left_waiting(delivery, now))), delivery, cheaper)
    next_step = choose(now, delivery.due, window=terms.window, rest=plan.seconds, waiting=bool(delivery.waiting))
    if next_step.step is Step.ONLINE:
        late = f"too little time is left for a batch until {local_time(delivery.due or now, now)}: all that is not done is sent online"
        return _noted(plan, delivery, [late])
    latest = terms.window if next_step.until is None else min(terms.window, (delivery.due or next_step.until) - now)
    seconds = latest if plan.requests else plan.seconds
    # A text is a request of its own in a batch: what fails, or is left, is one text.
    requests = plan.inputs or plan.requests
    noted = _noted(plan, delivery, _notes(plan, delivery, next_step.until, now))
    return replace(noted, delivery="batch", requests=requests, cost=batch.cost, seconds=seconds, bound_by=None)


def _noted(plan: JobPlan, delivery: PlannedDelivery, notes: Iterable[str]) -> JobPlan:
    """Return the plan with these notes after its own."""
    return replace(plan, notes=(*plan.notes, *_named(delivery, notes)))


def _named(delivery: PlannedDelivery, notes: Iterable[str]) -> Iterator[str]:
    yield from (f"{delivery.what}: {note}" if delivery.what else note for note in notes)


def _left_waiting(delivery: PlannedDelivery, now: float) -> Iterator[str]:
    """Yield what an online job leaves at the provider."""
    if delivery.waiting:
        yield f"{_lying(delivery, delivery.waiting, now)}: not collected with `delivery: online`, and what is in it is paid twice"


def _lying(delivery: PlannedDelivery, records: Sequence[BatchRecord], now: float) -> str:
    return f"{batches_of(records)} at {delivery.provider} since {local_time(min(record.created for record in records), now)}"


def _cheaper(batch: DeliveryOffer, terms: BatchTerms) -> str:
    return f"with `delivery: batch` it costs ~{dollars(batch.cost or 0.0)} and takes {_window(terms)}"


def _window(terms: BatchTerms) -> str:
    return f"up to {terms.window / 3600:g} h"


def _priced(offer: DeliveryOffer | None) -> str:
    return "the price is not known" if offer is None or offer.cost is None else f"~{dollars(offer.cost)}"


def _online(offer: DeliveryOffer) -> str:
    return "" if offer.seconds is None else f", ~{duration(offer.seconds)} at the limits"


def _notes(plan: JobPlan, delivery: PlannedDelivery, until: float | None, now: float) -> Iterator[str]:
    online = plan.online or DeliveryOffer()
    if plan.requests:
        online_words = f"{_priced(online)}{_online(online)}"
        yield f"by batches of {delivery.provider}: {_priced(plan.batch)}, {_window(delivery.terms)}; online: {online_words}"
    if until is not None:
        yield f"batches are waited for until {local_time(until, now)}; what is left then is sent online, at the full price"
    elif delivery.online_stragglers and plan.requests:
        yield "what a batch leaves is sent online, at the full price"
    if delivery.waiting:
        yield f"{_lying(delivery, delivery.waiting, now)}: collected, and not sent again"
    if delivery.unwanted:
        yield f"{_lying(delivery, delivery.unwanted, now)}: nothing in it is asked any more; it is not waited for"
