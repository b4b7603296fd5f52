"""The simulation of many workers (tests/benchmarks/scale) does what the engine does, and shows that all workers keep to one limit."""

import asyncio
import random
from dataclasses import replace

import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import WINDOW, Limits
from asyncrun.testing.clock import FakeClock
from tests.benchmarks.scale.figures import figures_of, seconds_to_grow
from tests.benchmarks.scale.flow import Case, Driver, Flow
from tests.benchmarks.scale.virtual_loop import VirtualClock, run_virtually

SMALL = Case(workers=2, slots=4, requests_per_minute=240, latency=1.0, latency_sigma=0.0, items=10, tokens_sd=0.0)
"""Its concurrency grows at first, and then the limit binds."""


def simulated(case: Case, *, seed: int = 1, batches: int | None = None, seconds: float = float("inf")) -> Flow:
    async def drive() -> Flow:
        return await Driver(case, VirtualClock(), seed).run(seconds=seconds, batches=batches)

    return run_virtually(drive())


def engine_run(case: Case, batches: int) -> tuple[list[float], list[float]]:
    """Return when the requests of a real run of `run_jobs` went, and when they were answered, on a fake clock."""
    sent, answered = [], []
    clock = FakeClock()
    limiter = Limiter(Limits(case.requests_per_minute, concurrency=case.workers * case.slots), clock, random.Random(1))

    async def request() -> None:
        async with limiter.permit(tokens=1.0, inputs=case.items) as permit:
            sent.append(clock.monotonic())
            await clock.sleep(case.latency)
            permit.succeeded()
        answered.append(clock.monotonic())

    asyncio.run(run_jobs([request() for _ in range(batches)], workers=case.workers * case.slots))
    return sent, answered


def test_a_simulated_run_sends_and_ends_when_a_real_one_does() -> None:
    sent, answered = engine_run(SMALL, 100)
    flow = simulated(SMALL, batches=100)

    assert flow.arrived == pytest.approx(sent)
    assert flow.ended == pytest.approx(answered)
    assert (flow.refused, flow.lost, flow.failed) == (0, 0, 0)


def test_a_seed_makes_the_same_run_again_and_another_one_does_not() -> None:
    case = replace(SMALL, latency_sigma=0.5, tokens_sd=0.1, tokens_per_minute=400_000, lost=0.05, ship=0.01, driver=0.01, commit=0.01)
    first, again, other = (simulated(case, seed=seed, batches=100) for seed in (1, 1, 2))

    assert (first.arrived, first.tokens, first.ended, first.lost) == (again.arrived, again.tokens, again.ended, again.lost)
    assert first.arrived != other.arrived
    assert first.lost > 0
    assert len(first.ended) == 100


def test_a_thousand_workers_use_one_limit_up_and_never_exceed_it() -> None:
    case = Case(workers=1000, slots=1, requests_per_minute=1200, grown=True)
    flow = simulated(case, seconds=2 * WINDOW)
    use = figures_of(flow, case, warm=30.0).uses["requests"]

    assert 0.99 <= use.share <= 1.0
    assert 0.99 <= use.fullest <= 1.0
    assert flow.refused == 0


def test_what_is_busiest_is_what_holds_a_run_back() -> None:
    case = Case(workers=4, slots=2, latency=1.0, latency_sigma=0.0, grown=True)
    slow = {
        "calls in flight": case,
        "the workers' cores": replace(case, computes=True),
        "the driver's core": replace(case, driver=0.5),
        "the ledger's disk": replace(case, commit=0.5),
        "the limit of requests": replace(case, requests_per_minute=60),
    }
    assert {name: figures_of(simulated(each, seconds=WINDOW), each, warm=10.0).bound for name, each in slow.items()} == {
        name: name for name in slow
    }


def test_a_start_is_as_long_as_the_concurrency_says() -> None:
    """What is told of the whole start from its first part is so when it is simulated to the end."""
    case = Case(workers=50, slots=1, requests_per_minute=6000, latency=0.4, latency_sigma=0.0)
    foretold = seconds_to_grow(simulated(case, seconds=5.0), needed=40)

    assert simulated(case, seconds=foretold).allowed == pytest.approx(40, abs=4)
