"""From the job file's words to embedders and chat models, each built once for all jobs of a run, and the limits that endpoints share."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asyncrun import registry
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import UNITS, Limits
from asyncrun.aio.retry import CircuitBreaker, RetryBudget
from asyncrun.clock import Clock
from asyncrun.embedders.interface import Embedder
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.embedders.same_model import KNOWN_TEXT, AnsweringModel
from asyncrun.endpoints.address import find_address
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import UsageError
from asyncrun.jobfile.sections import EmbedderConfig, EndpointConfig, LlmConfig, ModelConfig
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.spaces import SpaceReference
from asyncrun.records import InputType

if TYPE_CHECKING:
    from asyncrun.batches.interface import BatchEndpoint, BatchTerms
    from asyncrun.llms.interface import Llm
    from asyncrun.ports import Executor

T = TypeVar("T")
EndpointIdentity = tuple[str, str, str | None]
"""Address, key and model."""
RATES = tuple(f"{unit}_per_minute" for unit in UNITS)
FAILURES_WITH_REPLICAS = 3
"""Batches that fail in a row before an endpoint is given up for the others that serve the same model."""


@dataclass(frozen=True, slots=True, eq=False)
class EndpointLimits:
    """What all jobs together observe at one endpoint; `answering_model` is the name that its replies give the model."""

    limiter: Limiter
    circuit: CircuitBreaker
    budget: RetryBudget
    answering_model: AnsweringModel


@dataclass(slots=True, eq=False)
class SharedLimits:
    """The limits of each endpoint of a run. What one of the `models` states of an endpoint holds for all that are served there.

    So many `shards` divide what is stated, unless it is stated for each.
    """

    clock: Clock
    rng: random.Random
    environ: Mapping[str, str] = field(default_factory=dict)
    models: Sequence[ModelConfig] = ()
    shards: int = 1
    _stated: dict[EndpointIdentity, Limits] = field(default_factory=dict)
    _names: dict[EndpointIdentity, AnsweringModel] = field(default_factory=dict)
    _known: dict[tuple[EndpointIdentity, Limits], EndpointLimits] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for model in self.models:
            for endpoint in model.endpoints_with_limits() or (model,):
                if endpoint.limits.model_fields_set:
                    self._stated.setdefault(self._identity(model, endpoint), _limits_of(endpoint, self.shards))

    def of(self, config: ModelConfig, replica: EndpointConfig | None = None) -> EndpointLimits:
        """Return the limits of a model's endpoint: one of its `endpoints`, or its only one."""
        endpoint = replica or config
        identity, own = self._identity(config, endpoint), _limits_of(endpoint, self.shards)
        limits = own if endpoint.limits.model_fields_set else self._stated.get(identity, own)
        if (identity, limits) not in self._known:
            # With others to go to, an endpoint that fails is given up sooner.
            circuit = CircuitBreaker() if replica is None else CircuitBreaker(FAILURES_WITH_REPLICAS)
            answering_model = self._names.setdefault(identity, AnsweringModel())
            self._known[identity, limits] = EndpointLimits(Limiter(limits, self.clock, self.rng), circuit, RetryBudget(), answering_model)
        return self._known[identity, limits]

    def waiting(self) -> list[str | None]:
        """Return what the limiters' first requests wait for."""
        return [endpoint_limits.limiter.waiting for endpoint_limits in self._known.values()]

    def learned_limits(self) -> dict[str, Mapping[str, float]]:
        """Return the rates per minute that servers have stated and the job file has not, by unit, by address and model."""
        known = ((f"{where}, {model}", endpoint_limits.limiter.learned) for ((where, _, model), _), endpoint_limits in self._known.items())
        return {endpoint: learned for endpoint, learned in known if learned}

    def _identity(self, config: ModelConfig, endpoint: EndpointConfig | ModelConfig) -> EndpointIdentity:
        """Return what tells an endpoint from others: what is not stated is what the provider goes by."""
        vendor, key = _vendor_of(config), key_of(endpoint)
        if vendor is not None:
            try:
                address = find_address(vendor, endpoint.base_url, key, self.environ)
            except UsageError:
                pass  # Who builds the model says so; it is sent nothing.
            else:
                return address.base_url, address.key, config.model
        return endpoint.base_url or config.provider, key or "", config.model


@dataclass(eq=False)
class ModelBuilder:
    """Builds the models of one run; those of equal settings, secrets included, are one.

    Args:
        limits: those of the endpoints; its clock and randomness time the requests, its `environ` has keys and addresses.
        root: the folder where relative paths start.
        ledger: knows the vectors by which the endpoints of an embedder are compared.
        warn: is told what is odd.
        executor: where requests are made and vectors computed, None for here; `threads` are those of a model in each worker.
    """

    limits: SharedLimits
    root: Path
    ledger: Ledger
    warn: Callable[[str], object]
    executor: Executor | None = None
    threads: int = 1
    _embedders: dict[str, Embedder] = field(default_factory=dict)
    _llms: dict[str, Llm] = field(default_factory=dict)

    def embedder(self, config: EmbedderConfig) -> Embedder:
        """Return an embedder. Blocks. Raises UsageError for what cannot be used."""
        identity = model_identity(config)
        if identity not in self._embedders:
            embedder = self._build_embedder(config)
            # What the file does not state stays as the provider has it.
            embedder.batch = replace(embedder.batch, **{limit: value for limit, value in config.batch if value is not None})
            self._embedders[identity] = self._on_workers(embedder, config)
        return self._embedders[identity]

    def llm(self, config: LlmConfig) -> Llm:
        """Return a chat model. Blocks. Raises UsageError for what cannot be used."""
        identity = model_identity(config)
        if identity not in self._llms:
            self._llms[identity] = self._build_llm(config)
        return self._llms[identity]

    def batch_endpoint(self, config: EmbedderConfig | LlmConfig) -> BatchEndpoint:
        """Return the batch endpoint of a model's provider, for whoever closes it. Blocks. Raises UsageError where there is none."""
        if config.provider not in (names := registry.names("batches")):
            known = ", ".join(names)
            raise UsageError(f"{config.provider} has no batch endpoint; known: {known}", hint="Use `delivery: online`.")
        if config.endpoints:
            raise UsageError("batches go to one endpoint, not to several", hint="Leave `endpoints` out, or use `delivery: online`.")
        row = PROVIDERS.get(config.provider) if isinstance(config, EmbedderConfig) else None
        endpoint: BatchEndpoint = registry.load("batches", config.provider)(
            model=config.model or (row.model if row else None) or "",
            purpose=config.purpose,
            base_url=config.base_url,
            api_key=key_of(config),
            api_version=config.api_version,
            params=config.params,
            environ=self.limits.environ,
            warn=self.warn,
            http2=config.http2,
            retry=config.retry.policy,
            timeout=config.timeout,
            headers={name: value.get_secret_value() for name, value in config.headers.items()},
            clock=self.limits.clock,
            rng=self.limits.rng,
        )
        return endpoint

    def batch_terms(self, config: EmbedderConfig | LlmConfig) -> BatchTerms | None:
        """Return what a model's provider takes in a batch, and its price, None where it has no batch endpoint; needs no key. Blocks."""
        if config.provider not in registry.names("batches"):
            return None
        terms: BatchTerms = registry.load("batches", config.provider).terms_for(config.purpose)
        return terms

    async def renew_connections(self) -> None:
        """Have new requests make new connections, as after the machine was suspended."""
        for model in self._built():
            await model.renew_connections()

    async def aclose(self) -> None:
        """Close every model."""
        for model in self._built():
            await model.aclose()

    def _built(self) -> list[Embedder | Llm]:
        return [*self._embedders.values(), *self._llms.values()]

    def _build_llm(self, config: LlmConfig) -> Llm:
        from asyncrun.endpoints.endpoint import Endpoint
        from asyncrun.llms.interface import Price

        price = config.price_per_million_tokens
        llms = [
            registry.load("llms", config.provider)(
                base_url=(replica or config).base_url,
                provider=config.provider,
                http2=config.http2,
                temperature=config.temperature,
                max_output_tokens=config.max_output_tokens,
                system=config.system,
                price=None if price is None else Price(price.input, price.output, price.cached_input),
                model=config.model,
                api_version=config.api_version,
                params=config.params,
                **self._endpoint_settings(config, self.limits.of(config, replica), key_of(replica or config)),
            )
            for replica in config.endpoints_with_limits() or (None,)
        ]
        for llm in llms:
            if isinstance(endpoint := getattr(llm, "endpoint", None), Endpoint):
                endpoint.executor = self.executor
        if not config.endpoints:
            return cast("Llm", llms[0])
        from asyncrun.llms.http_chat import HttpChat
        from asyncrun.llms.several import SeveralChats

        return SeveralChats(_all_of(HttpChat, llms, config), warn=self.warn)

    def _build_embedder(self, config: EmbedderConfig) -> Embedder:
        adapter = registry.load("embedders", config.provider)
        embedders = [adapter(**self._settings(config, replica)) for replica in config.endpoints_with_limits() or (None,)]
        if not config.endpoints:
            return cast(Embedder, embedders[0])
        from asyncrun.embedders.http_embedder import HttpEmbedder
        from asyncrun.embedders.several import SeveralEmbedders

        several, documents = _all_of(HttpEmbedder, embedders, config), InputType.DOCUMENT
        reference = SpaceReference(self.ledger, several[0].space(documents), several[0].as_sent(KNOWN_TEXT, documents))
        return SeveralEmbedders(several, reference=reference, warn=self.warn)

    def _on_workers(self, embedder: Embedder, config: EmbedderConfig) -> Embedder:
        """Return an embedder that uses the executor: for its requests where it makes such, else for all that it does."""
        if self.executor is None:
            return embedder
        from asyncrun.embedders.on_workers import embed_on_workers

        limiter = None if config.provider == "local" else self.limits.of(config).limiter
        threads = {"threads": self.threads} if config.provider == "local" else {}
        return embed_on_workers(embedder, self.executor, config.provider, {**self._settings(config), **threads}, limiter)

    def _settings(self, config: EmbedderConfig, replica: EndpointConfig | None = None) -> dict[str, Any]:
        """Return what an embedder is made with."""
        settings: dict[str, Any] = {
            "dimensions": config.dimensions,
            "document_prefix": config.document_prefix,
            "query_prefix": config.query_prefix,
            "space": config.space,
            "on_too_long": config.on_too_long,
            "on_empty": config.on_empty,
        }
        if config.provider == "local":
            return settings
        tokenizer, endpoint, limits = config.tokenizer, replica or config, self.limits.of(config, replica)
        optional = {
            "model": config.model,
            "api_version": config.api_version,
            "params": config.params or None,
            "options": config.options or None,
            "tokenizer": str(self.root / tokenizer) if tokenizer and tokenizer.endswith(".json") else tokenizer,
            "http2": config.http2 or None,
            "base_url": endpoint.base_url,
        }
        settings |= {"input_type": config.input_type, "price_per_million_tokens": config.price_per_million_tokens, "warn": self.warn}
        settings |= {name: value for name, value in optional.items() if value is not None}
        shared = self._endpoint_settings(config, limits, key_of(endpoint))
        return {"answering_model": limits.answering_model, **shared, **settings}

    def _endpoint_settings(self, config: ModelConfig, limits: EndpointLimits, key: str | None) -> dict[str, Any]:
        """Return the settings of one endpoint that embedders and chat models share."""
        return {
            "api_key": key,
            "retry": config.retry.policy,
            "timeout": config.timeout,
            "headers": {name: value.get_secret_value() for name, value in config.headers.items()},
            "extra_body": config.extra_body,
            "environ": self.limits.environ,
            "limiter": limits.limiter,
            "circuit": limits.circuit,
            "budget": limits.budget,
            "clock": self.limits.clock,
            "rng": self.limits.rng,
        }


def model_identity(config: ModelConfig, fields: Collection[str] | None = None) -> str:
    """Return the settings of a model, all or those of some fields, as one text that tells it from others; it holds secrets."""
    stated = config.model_dump(include=None if fields is None else set(fields))
    return json.dumps(stated, default=lambda secret: secret.get_secret_value())


def key_of(endpoint: EndpointConfig | ModelConfig) -> str | None:
    """Return the key that the job file has for an endpoint."""
    return endpoint.api_key.get_secret_value() if endpoint.api_key else None


def _all_of(kind: type[T], models: Sequence[object], config: ModelConfig) -> list[T]:
    found = [model for model in models if isinstance(model, kind)]
    if len(found) < len(models):
        raise UsageError(f"the provider {config.provider} has no endpoints to choose from", hint="Leave `endpoints` out.")
    return found


def _limits_of(endpoint: EndpointConfig | ModelConfig, shards: int) -> Limits:
    """Return what is stated of an endpoint, the part of one of so many shards; what a server says is not divided."""
    stated = dict(endpoint.limits)
    of = shards if stated.pop("shared") else 1
    rates = {unit: None if (rate := stated[unit]) is None else rate / of for unit in RATES}
    at_once = None if (most := stated["concurrency"]) is None else max(most // of, 1)
    return Limits(**{**stated, **rates, "concurrency": at_once})


def _vendor_of(config: ModelConfig) -> Vendor | None:
    if isinstance(config, LlmConfig):
        from asyncrun.llms.providers import CHAT_PROVIDERS

        chat = CHAT_PROVIDERS.get(config.provider)
        return chat.vendor if chat else None
    provider = PROVIDERS.get(config.provider)
    return provider.vendor if provider else None
