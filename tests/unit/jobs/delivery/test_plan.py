"""A plan names both prices and both times, and what a deadline makes of them."""

from __future__ import annotations

import time

import pytest

from asyncrun.batches.interface import BatchTerms
from asyncrun.jobs.delivery.plan import PlannedDelivery, with_delivery
from asyncrun.ledger.provider_batches import BatchRecord, RecordState
from asyncrun.results import JobPlan
from asyncrun.usage import DeliveryOffer

OPENAI = BatchTerms(requests=50_000, size=200_000_000)
VOYAGE = BatchTerms(requests=100_000, size=200_000_000, price=0.67, window=43_200.0)
PLAN = JobPlan("notes", "embed", 9, new=9, requests=4, tokens=100, cost=10.0, seconds=120.0, bound_by="tokens_per_minute")
NOW = time.mktime((2026, 3, 2, 22, 0, 0, 0, 0, -1))
SIX = time.mktime((2026, 3, 3, 6, 0, 0, 0, 0, -1))


def planned(plan=PLAN, now=NOW, provider="openai", terms=OPENAI, batch=True, **rest):
    return with_delivery(plan, PlannedDelivery(provider, terms, batch, **rest), now)


def record(requests, created):
    return BatchRecord(
        *("t" * 20, "j", "s", 0, "openai", "h", "m", "embeddings", RecordState.SUBMITTED, None, "b", created, requests, 0, 0.0, (), b"")
    )


@pytest.mark.parametrize(("provider", "terms", "cost", "hours"), [("openai", OPENAI, 5.0, "24"), ("voyage", VOYAGE, 6.7, "12")])
def test_both_prices_and_times_are_there_and_those_of_batches_count(provider, terms, cost, hours):
    told = planned(provider=provider, terms=terms)
    assert (told.delivery, told.cost, told.seconds, told.bound_by) == ("batch", pytest.approx(cost), terms.window, None)
    assert told.online == DeliveryOffer(10.0, 120.0)
    assert told.batch == DeliveryOffer(told.cost, told.seconds)
    sentence = f"by batches of {provider}: ~${cost:.2f}, up to {hours} h; online: ~$10.00, ~2m 00s at the limits"
    assert told.notes == (sentence,)


def test_an_online_job_keeps_its_own_and_hears_what_batches_save():
    told = planned(batch=False)
    assert (told.delivery, told.cost, told.seconds) == ("online", 10.0, 120.0)
    assert told.batch == DeliveryOffer(5.0, 86_400.0)
    assert told.notes == ("with `delivery: batch` it costs ~$5.00 and takes up to 24 h",)
    cheap = JobPlan("notes", "embed", 9, new=9, requests=1, tokens=1, cost=0.001, seconds=1.0)
    assert planned(cheap, batch=False).notes == ()


def test_a_deadline_says_until_when_batches_are_waited_for():
    told = planned(due=SIX)
    assert told.delivery == "batch"
    assert told.seconds == SIX - NOW
    assert "batches are waited for until 2026-03-03 05:47; what is left then is sent online, at the full price" in told.notes


def test_too_late_for_batches_is_said_and_costs_what_it_costs_online():
    told = planned(now=SIX - 600, due=SIX)
    assert (told.delivery, told.cost, told.seconds) == ("online", 10.0, 120.0)
    assert told.notes == ("too little time is left for a batch until 06:00: all that is not done is sent online",)


def test_what_lies_at_the_provider_is_told():
    told = planned(waiting=[record(30_000, NOW - 60), record(11_000, NOW)], online_stragglers=True)
    assert "2 batches of 41,000 requests at openai since 21:59: collected, and not sent again" in told.notes
    assert "what a batch leaves is sent online, at the full price" in told.notes
    online = planned(batch=False, waiting=[record(30_000, NOW)])
    assert (
        "1 batch of 30,000 requests at openai since 22:00: not collected with `delivery: online`, and what is in it is paid twice"
        in online.notes
    )


def test_nothing_to_send_takes_no_time_and_says_nothing():
    done = JobPlan("notes", "embed", 9, new=0, unchanged=9, cost=0.0, seconds=0.0)
    told = planned(done)
    assert (told.cost, told.seconds, told.notes) == (0.0, 0.0, ())


def test_without_a_price_both_are_unknown():
    told = planned(JobPlan("notes", "embed", 9, new=9, requests=1, tokens=1))
    assert told.online == DeliveryOffer()
    assert told.cost is None
    assert "the price is not known" in told.notes[0]
