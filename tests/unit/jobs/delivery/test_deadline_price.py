"""What a night with a deadline costs: nearly all at half the price, the stragglers online. Nothing is sent, nobody sleeps."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from asyncrun.jobs.delivery.deadline import CANCELLING, Step, choose

MOST = 0.55
HOUR = 3600.0
ROWS = 1_000_000
LINES = 50_000
"""Of a batch of OpenAI."""
TOKENS_IN, TOKENS_OUT = 800, 120
TABLE = {
    "text-embedding-3-small": (0.02, 0.0),
    "text-embedding-3-large": (0.13, 0.0),
    "gpt-4o-mini": (0.15, 0.60),
    "gpt-4o": (2.50, 10.00),
}
"""OpenAI's prices online in USD for a million tokens in and out; a batch costs half of each."""


@dataclass
class Night:
    """A provider that does each batch within hours of its own, but for 2 % of the rows, which it has not looked at by the morning."""

    ends: list[float]
    stuck: float = 0.02

    def done(self, now: float) -> int:
        part = sum(min(now / end, 1.0) for end in self.ends) / len(self.ends)
        return int(ROWS * (1 - self.stuck) * part)


def run_night(night: Night, due: float, rows_a_second: float) -> tuple[int, int, float]:
    """Return rows done by batches and online, and when all is there: looked at every 15 minutes, as by cron."""
    now = 0.0
    while True:
        rest = ROWS - night.done(now)
        choice = choose(now, due, window=24 * HOUR, rest=rest / rows_a_second, waiting=now > 0)
        if choice.step is Step.ONLINE:
            break
        assert choice.until is not None
        now = min(now + HOUR / 4, choice.until)
    batched = night.done(now + CANCELLING)
    return batched, ROWS - batched, now + CANCELLING + (ROWS - batched) / rows_a_second


def night_of(seed: int) -> Night:
    rng = random.Random(seed)
    return Night([rng.uniform(0.5 * HOUR, 5 * HOUR) for _ in range(ROWS // LINES)])


@pytest.mark.parametrize("model", TABLE)
@pytest.mark.parametrize("seed", range(5))
def test_a_night_by_deadline_costs_little_more_than_half_and_ends_in_time(model, seed):
    batched, online, end = run_night(night_of(seed), due=8 * HOUR, rows_a_second=100.0)
    inward, outward = TABLE[model]
    row = TOKENS_IN * inward + TOKENS_OUT * outward
    ratio = (batched * row / 2 + online * row) / (ROWS * row)
    assert ratio <= MOST
    assert end <= 8 * HOUR
    assert round(ratio, 2) == 0.51


def test_a_provider_that_does_nothing_costs_the_price_online_and_no_deadline():
    batched, online, end = run_night(Night([HOUR], stuck=1.0), due=8 * HOUR, rows_a_second=100.0)
    assert (batched, online) == (0, ROWS)
    assert end <= 8 * HOUR
