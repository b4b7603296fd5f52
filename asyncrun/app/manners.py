"""How each place (address, key, model) is treated: one limiter, circuit and retry budget for all jobs of a run."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from asyncrun.aio.circuit import Circuit
from asyncrun.aio.limits import Limiter, Limits
from asyncrun.aio.retry import RetryBudget
from asyncrun.clock import Clock
from asyncrun.jobfile.endpoint import Endpoint, EndpointConfig

PATIENCE_WITH_OTHERS = 3
"""Batches that fail in a row before a place is given up for the others that serve the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Manners:
    """How one place is treated, by all jobs together."""

    limiter: Limiter
    circuit: Circuit
    budget: RetryBudget


@dataclass(slots=True, eq=False)
class Places:
    """The places of a run."""

    clock: Clock
    rng: random.Random
    _known: dict[tuple[str, str | None, str | None], Manners] = field(default_factory=dict)

    def manners(self, config: EndpointConfig, place: Endpoint | None = None) -> Manners:
        """Return how a place of a model is treated: one of its `endpoints`, or its only one."""
        where = place or config
        identity = (where.base_url or config.provider, key_of(where), config.model)
        if identity not in self._known:
            # With others to go to, a place that fails is given up sooner.
            circuit = Circuit() if place is None else Circuit(PATIENCE_WITH_OTHERS)
            self._known[identity] = Manners(Limiter(Limits(**dict(where.limits)), self.clock, self.rng), circuit, RetryBudget())
        return self._known[identity]

    def waiting(self) -> list[str | None]:
        """Return what the limiters' first requests wait for."""
        return [manners.limiter.waiting for manners in self._known.values()]

    def learned_limits(self) -> dict[str, Mapping[str, float]]:
        """Return the rates per minute that servers have stated and the job file has not, by unit, by address and model."""
        known = ((f"{where}, {model}", manners.limiter.learned) for (where, _, model), manners in self._known.items())
        return {place: learned for place, learned in known if learned}


def key_of(place: Endpoint | EndpointConfig) -> str | None:
    """Return the key that the job file has for a place."""
    return place.api_key.get_secret_value() if place.api_key else None
