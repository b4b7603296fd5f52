"""Limits hold for a place: whatever embedder or llm of the file states them, and however it spells the place."""

from __future__ import annotations

import random
from typing import Any

import pytest

from asyncrun.app.model_builder import SharedLimits
from asyncrun.jobfile.sections import EmbedderConfig
from asyncrun.testing.clock import FakeClock

ENVIRON = {"OPENAI_API_KEY": "the-key"}
STATED = {"requests_per_minute": 60, "concurrency": 3}


def model(**settings: Any) -> EmbedderConfig:
    return EmbedderConfig.model_validate({"provider": "openai", "model": "small", **settings})


def places(*models: EmbedderConfig) -> SharedLimits:
    return SharedLimits(FakeClock(), random.Random(1), ENVIRON, models)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"document_prefix": "passage: "},
        {"base_url": "https://api.openai.com/v1"},
        {"base_url": "https://api.openai.com/v1/"},
        {"api_key": "the-key"},
    ],
    ids=str,
)
def test_what_one_embedder_states_holds_for_the_others_of_its_place(other: dict[str, Any]) -> None:
    silent, stating = model(**other), model(limits=STATED)
    for models in ((silent, stating), (stating, silent)):
        known = places(*models)
        assert known.of(silent) is known.of(stating)
        limits = known.of(silent).limiter.limits
        assert (limits.requests_per_minute, limits.concurrency) == (60, 3)


@pytest.mark.parametrize("other", [{"model": "large"}, {"api_key": "another"}, {"base_url": "http://127.0.0.1:9/v1"}], ids=str)
def test_another_place_has_its_own(other: dict[str, Any]) -> None:
    elsewhere, stating = model(**other), model(limits=STATED)
    known = places(elsewhere, stating)
    assert known.of(elsewhere) is not known.of(stating)
    assert known.of(elsewhere).limiter.limits.requests_per_minute is None


def test_one_of_several_endpoints_is_the_place_of_whoever_names_it_alone() -> None:
    several = model(endpoints=[{"base_url": "http://127.0.0.1:9/v1", "limits": STATED}, {"base_url": "http://127.0.0.1:8/v1"}])
    alone = model(base_url="http://127.0.0.1:9/v1")
    known = places(alone, several)
    first, second = several.endpoints_with_limits()
    assert known.of(alone) is known.of(several, first)
    assert known.of(several, second).limiter.limits.requests_per_minute is None


def test_a_model_without_an_address_is_no_trouble_here() -> None:
    nowhere = EmbedderConfig.model_validate({"provider": "azure", "model": "small", "limits": STATED})
    assert places(nowhere).of(nowhere).limiter.limits.requests_per_minute == 60


@pytest.mark.parametrize(
    ("stated", "shards", "has"),
    [
        ({"requests_per_minute": 60, "tokens_per_minute": 1000, "concurrency": 8}, 4, (15, 250, 2)),
        ({"concurrency": 3}, 4, (None, None, 1)),
        ({}, 4, (None, None, None)),
        ({"requests_per_minute": 60, "concurrency": 8, "shared": False}, 4, (60, None, 8)),
        ({"requests_per_minute": 60, "concurrency": 8}, 1, (60, None, 8)),
    ],
    ids=str,
)
def test_shards_divide_what_is_stated_unless_each_has_it_for_itself(
    stated: dict[str, Any], shards: int, has: tuple[float | None, float | None, int | None]
) -> None:
    stating = model(limits=stated)
    limits = SharedLimits(FakeClock(), random.Random(1), ENVIRON, [stating], shards).of(stating).limiter.limits
    assert (limits.requests_per_minute, limits.tokens_per_minute, limits.concurrency) == has
