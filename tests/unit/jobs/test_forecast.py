"""A plan counts as a run counts: batches by the limits, the small first request, what several jobs have in common."""

from __future__ import annotations

import random

import pytest

from asyncrun.aio.limits import Limits
from asyncrun.embedders.provider_classes import OpenAIEmbedding
from asyncrun.jobs.forecast import Forecast, TokenRate, at_limits
from asyncrun.packing import BatchLimits
from asyncrun.records import InputType, Pending, Space, text_key
from asyncrun.results import JobPlan


def embedder(**batch: int) -> OpenAIEmbedding:
    return OpenAIEmbedding(
        model="m", base_url="http://127.0.0.1:9/v1", batch=BatchLimits(**batch), rng=random.Random(1), price_per_million_tokens=2.0
    )


def texts(*sizes: int) -> list[Pending]:
    return [Pending(text_key(f"{number}"), "x" * size, size, number) for number, size in enumerate(sizes)]


def foresee(forecast: Forecast, served: OpenAIEmbedding, *rounds: list[Pending]) -> JobPlan:
    return forecast.foresee(JobPlan("job", "embed", 0, 0), rounds, served, InputType.DOCUMENT, TokenRate())[0]


def test_the_first_request_of_an_embedder_is_small_once() -> None:
    forecast, served = Forecast(), embedder(max_items=4)
    assert foresee(forecast, served, texts(*[4] * 8)).requests == 3
    assert foresee(forecast, served, texts(*[4] * 8)).requests == 2
    assert foresee(forecast, embedder(max_items=4), texts(4, 4)).requests == 1


def test_what_is_cut_in_rounds_is_packed_in_rounds() -> None:
    forecast, served = Forecast(), embedder(max_items=4)
    assert foresee(forecast, served, texts(4), texts(*[4] * 5), texts(*[4] * 3)).requests == 4


def test_a_place_is_compared_once_by_all_jobs_of_a_plan() -> None:
    forecast, space = Forecast(), Space("openai", "m", name="mine")
    assert [forecast.compares(space, place) for place in ("here", "there", "here")] == [True, True, False]
    assert forecast.compares(Space("openai", "m", name="other"), "here")


def test_tokens_by_the_rule_and_what_they_cost() -> None:
    found = foresee(Forecast(), embedder(), texts(4, 5))
    assert (found.tokens, found.exact, found.cost) == (3, False, pytest.approx(6e-6))
    assert "a token for every 4 bytes" in found.notes[0]


def test_batches_that_tokens_bound_are_said_to_be_the_most() -> None:
    assert any("at most" in note for note in foresee(Forecast(), embedder(max_tokens=100), texts(*[60] * 4)).notes)
    assert not any("at most" in note for note in foresee(Forecast(), embedder(max_tokens=1000), texts(*[60] * 4)).notes)


def test_a_text_that_an_earlier_job_sends_is_not_sent_again() -> None:
    forecast, space = Forecast(), Space("openai", "m")
    assert len(list(forecast.unforeseen(space, texts(1, 2)))) == 2
    assert [pending.ordinal for pending in forecast.unforeseen(space, texts(1, 2, 3))] == [2]
    assert len(list(forecast.unforeseen(Space("openai", "other"), texts(1, 2)))) == 2


@pytest.mark.parametrize(
    ("limits", "seconds", "bound_by"),
    [
        (None, None, None),
        (Limits(), None, None),
        (Limits(requests_per_minute=10), 60.0, "requests_per_minute"),
        (Limits(requests_per_minute=10, tokens_per_minute=100, share=0.5), 600.0, "tokens_per_minute"),
        (Limits(inputs_per_minute=25, requests_per_minute=100), 120.0, "inputs_per_minute"),
    ],
)
def test_the_tightest_limit_says_how_long_it_takes(limits: Limits | None, seconds: float | None, bound_by: str | None) -> None:
    assert at_limits(limits, 10, 500, 50) == (seconds, bound_by)
    assert at_limits(limits, 0, 0, 0) == (0.0, None)
