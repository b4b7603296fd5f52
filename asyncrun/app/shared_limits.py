"""How each place (address, key, model) is treated: one limiter, circuit and retry budget for all jobs of a run."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import CircuitBreaker, RetryBudget
from asyncrun.clock import Clock
from asyncrun.embedders.model_name import ModelName
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.endpoints.address import find_address
from asyncrun.errors import UsageError
from asyncrun.jobfile.sections import EndpointConfig, LlmConfig, ModelConfig
from asyncrun.llms.providers import PROVIDERS as CHATS

Identity = tuple[str, str, str | None]
"""Address, key and model."""
PATIENCE_WITH_OTHERS = 3
"""Batches that fail in a row before a place is given up for the others that serve the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Manners:
    """How one place is treated, by all jobs together."""

    limiter: Limiter
    circuit: CircuitBreaker
    budget: RetryBudget
    named: ModelName


@dataclass(slots=True, eq=False)
class Places:
    """The places of a run. Limits that one of the `models` states for a place hold for all that are served there."""

    clock: Clock
    rng: random.Random
    environ: Mapping[str, str] = field(default_factory=dict)
    models: Sequence[ModelConfig] = ()
    _stated: dict[Identity, Limits] = field(default_factory=dict)
    _names: dict[Identity, ModelName] = field(default_factory=dict)
    _known: dict[tuple[Identity, Limits], Manners] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for model in self.models:
            for where in model.places() or (model,):
                if where.limits.model_fields_set:
                    self._stated.setdefault(self._identity(model, where), _limits_of(where))

    def manners(self, config: ModelConfig, place: EndpointConfig | None = None) -> Manners:
        """Return how a place of a model is treated: one of its `endpoints`, or its only one."""
        where = place or config
        identity, own = self._identity(config, where), _limits_of(where)
        limits = own if where.limits.model_fields_set else self._stated.get(identity, own)
        if (identity, limits) not in self._known:
            # With others to go to, a place that fails is given up sooner.
            circuit = CircuitBreaker() if place is None else CircuitBreaker(PATIENCE_WITH_OTHERS)
            named = self._names.setdefault(identity, ModelName())
            self._known[identity, limits] = Manners(Limiter(limits, self.clock, self.rng), circuit, RetryBudget(), named)
        return self._known[identity, limits]

    def _identity(self, config: ModelConfig, where: EndpointConfig | ModelConfig) -> Identity:
        """Return what tells a place from others: what is not stated is what the provider goes by."""
        row = CHATS.get(config.provider) if isinstance(config, LlmConfig) else PROVIDERS.get(config.provider)
        key = key_of(where)
        if row is not None:
            try:
                address = find_address(row.vendor, where.base_url, key, self.environ)
            except UsageError:
                pass  # Who builds the model says so; it is sent nothing.
            else:
                return address.base_url, address.key, config.model
        return where.base_url or config.provider, key or "", config.model

    def waiting(self) -> list[str | None]:
        """Return what the limiters' first requests wait for."""
        return [manners.limiter.waiting for manners in self._known.values()]

    def learned_limits(self) -> dict[str, Mapping[str, float]]:
        """Return the rates per minute that servers have stated and the job file has not, by unit, by address and model."""
        known = ((f"{where}, {model}", manners.limiter.learned) for ((where, _, model), _), manners in self._known.items())
        return {place: learned for place, learned in known if learned}


def key_of(place: EndpointConfig | ModelConfig) -> str | None:
    """Return the key that the job file has for a place."""
    return place.api_key.get_secret_value() if place.api_key else None


def _limits_of(where: EndpointConfig | ModelConfig) -> Limits:
    return Limits(**dict(where.limits))
