"""The limits of each endpoint (address, key, model): one limiter, circuit and retry budget for all jobs of a run."""

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
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import UsageError
from asyncrun.jobfile.sections import EndpointConfig, LlmConfig, ModelConfig

Identity = tuple[str, str, str | None]
"""Address, key and model."""
FAILURES_WITH_REPLICAS = 3
"""Batches that fail in a row before an endpoint is given up for the others that serve the same model."""


@dataclass(frozen=True, slots=True, eq=False)
class EndpointLimits:
    """What all jobs together observe at one endpoint; `named` is the name that its replies give the model."""

    limiter: Limiter
    circuit: CircuitBreaker
    budget: RetryBudget
    named: ModelName


@dataclass(slots=True, eq=False)
class SharedLimits:
    """The places of a run. Limits that one of the `models` states for a place hold for all that are served there."""

    clock: Clock
    rng: random.Random
    environ: Mapping[str, str] = field(default_factory=dict)
    models: Sequence[ModelConfig] = ()
    _stated: dict[Identity, Limits] = field(default_factory=dict)
    _names: dict[Identity, ModelName] = field(default_factory=dict)
    _known: dict[tuple[Identity, Limits], EndpointLimits] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for model in self.models:
            for where in model.places() or (model,):
                if where.limits.model_fields_set:
                    self._stated.setdefault(self._identity(model, where), _limits_of(where))

    def of(self, config: ModelConfig, place: EndpointConfig | None = None) -> EndpointLimits:
        """Return how a place of a model is treated: one of its `endpoints`, or its only one."""
        where = place or config
        identity, own = self._identity(config, where), _limits_of(where)
        limits = own if where.limits.model_fields_set else self._stated.get(identity, own)
        if (identity, limits) not in self._known:
            # With others to go to, a place that fails is given up sooner.
            circuit = CircuitBreaker() if place is None else CircuitBreaker(FAILURES_WITH_REPLICAS)
            named = self._names.setdefault(identity, ModelName())
            self._known[identity, limits] = EndpointLimits(Limiter(limits, self.clock, self.rng), circuit, RetryBudget(), named)
        return self._known[identity, limits]

    def _identity(self, config: ModelConfig, where: EndpointConfig | ModelConfig) -> Identity:
        """Return what tells a place from others: what is not stated is what the provider goes by."""
        vendor, key = _vendor_of(config), key_of(where)
        if vendor is not None:
            try:
                address = find_address(vendor, where.base_url, key, self.environ)
            except UsageError:
                pass  # Who builds the model says so; it is sent nothing.
            else:
                return address.base_url, address.key, config.model
        return where.base_url or config.provider, key or "", config.model

    def waiting(self) -> list[str | None]:
        """Return what the limiters' first requests wait for."""
        return [endpoint_limits.limiter.waiting for endpoint_limits in self._known.values()]

    def learned_limits(self) -> dict[str, Mapping[str, float]]:
        """Return the rates per minute that servers have stated and the job file has not, by unit, by address and model."""
        known = ((f"{where}, {model}", endpoint_limits.limiter.learned) for ((where, _, model), _), endpoint_limits in self._known.items())
        return {place: learned for place, learned in known if learned}


def key_of(place: EndpointConfig | ModelConfig) -> str | None:
    """Return the key that the job file has for a place."""
    return place.api_key.get_secret_value() if place.api_key else None


def _limits_of(where: EndpointConfig | ModelConfig) -> Limits:
    return Limits(**dict(where.limits))


def _vendor_of(config: ModelConfig) -> Vendor | None:
    if isinstance(config, LlmConfig):
        from asyncrun.llms.providers import PROVIDERS as CHAT_PROVIDERS

        chat = CHAT_PROVIDERS.get(config.provider)
        return chat.vendor if chat else None
    provider = PROVIDERS.get(config.provider)
    return provider.vendor if provider else None
