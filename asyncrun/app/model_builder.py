"""From the job file's words to embedders and chat models, each built once for all jobs of a run."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from asyncrun import registry
from asyncrun.app.shared_limits import SharedLimits, key_of
from asyncrun.clock import Clock
from asyncrun.embedders.compare import KNOWN_TEXT
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import UsageError
from asyncrun.jobfile.sections import EmbedderConfig, EndpointConfig, LlmConfig, ModelConfig
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.space_records import SpaceReference
from asyncrun.records import InputType

if TYPE_CHECKING:
    from asyncrun.llms.interface import Llm


class ModelBuilder:
    """Builds the models of one run.

    Args:
        described: all models of the job file: what one states of a place's limits holds for the others.
        file: the job file: relative paths start at its folder.
        ledger: knows the vectors by which the endpoints of an embedder are compared.
        clock: times requests and limits.
        rng: spreads pauses.
        environ: where keys and addresses are that the file does not state.
        warn: is told what is odd.
    """

    def __init__(
        self,
        described: Sequence[ModelConfig],
        *,
        file: Path,
        ledger: Ledger,
        clock: Clock,
        rng: random.Random,
        environ: Mapping[str, str],
        warn: Callable[[str], object],
    ) -> None:
        self.shared_limits = SharedLimits(clock, rng, environ, described)
        self._file, self._ledger = file, ledger
        self._clock, self._rng, self._environ, self._warn = clock, rng, environ, warn
        self._embedders: dict[str, Embedder] = {}
        self._llms: dict[str, Llm] = {}

    def embedder(self, config: EmbedderConfig) -> Embedder:
        """Return an embedder. Blocks. Raises UsageError for what cannot be used."""
        name = _identity(config)
        if name not in self._embedders:
            embedder = self._embedders[name] = self._build_embedder(config)
            # What the file does not state stays as the provider has it.
            embedder.batch = replace(embedder.batch, **{limit: value for limit, value in config.batch if value is not None})
        return self._embedders[name]

    def llm(self, config: LlmConfig) -> Llm:
        """Return a chat model. Blocks. Raises UsageError for what cannot be used."""
        name = _identity(config)
        if name not in self._llms:
            self._llms[name] = self._build_llm(config)
        return self._llms[name]

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
        if not config.endpoints:
            return self._build_llm_at(config)
        from asyncrun.llms.openai import OpenAIChat
        from asyncrun.llms.several import SeveralChats

        llms = [self._build_llm_at(config, place) for place in config.places()]
        if not all(isinstance(llm, OpenAIChat) for llm in llms):
            raise UsageError(f"the provider {config.provider} has no endpoints to choose from", hint="Leave `endpoints` out.")
        return SeveralChats(cast(list[OpenAIChat], llms), warn=self._warn)

    def _build_llm_at(self, config: LlmConfig, place: EndpointConfig | None = None) -> Llm:
        """Return the chat model of one place: one of the `endpoints`, or the only one."""
        from asyncrun.endpoints.options import EndpointOptions
        from asyncrun.llms.interface import Price

        where, endpoint_limits, price = place or config, self.shared_limits.of(config, place), config.price_per_million_tokens
        options = EndpointOptions(
            retry=config.retry.policy,
            timeout=config.timeout,
            http2=config.http2,
            headers={name: value.get_secret_value() for name, value in config.headers.items()},
            limiter=endpoint_limits.limiter,
            circuit=endpoint_limits.circuit,
            budget=endpoint_limits.budget,
            clock=self._clock,
            rng=self._rng,
        )
        adapter = registry.load("llms", config.provider)
        return cast(
            "Llm",
            adapter(
                model=config.model,
                provider=config.provider,
                api_key=key_of(where),
                base_url=where.base_url,
                temperature=config.temperature,
                max_output_tokens=config.max_output_tokens,
                system=config.system,
                price=None if price is None else Price(price.input, price.output),
                api_version=config.api_version,
                params=config.params,
                extra_body=config.extra_body,
                environ=self._environ,
                **options,
            ),
        )

    def _tokenizer_of(self, config: EmbedderConfig) -> str | None:
        name = config.tokenizer
        return str(self._file.absolute().parent / name) if name and name.endswith(".json") else name

    def _build_embedder(self, config: EmbedderConfig) -> Embedder:
        shared: dict[str, Any] = {
            "dimensions": config.dimensions,
            "document_prefix": config.document_prefix,
            "query_prefix": config.query_prefix,
            "space": config.space,
            "on_too_long": config.on_too_long,
            "on_empty": config.on_empty,
        }
        adapter = registry.load("embedders", config.provider)
        if config.provider == "local":
            return cast(Embedder, adapter(**shared))
        if not config.endpoints:
            return self._build_place(adapter, config, shared)
        from asyncrun.embedders.http_embedder import HttpEmbedder
        from asyncrun.embedders.several import SeveralEmbedders

        embedders = [self._build_place(adapter, config, shared, place) for place in config.places()]
        if not all(isinstance(embedder, HttpEmbedder) for embedder in embedders):
            raise UsageError(f"the provider {config.provider} has no endpoints to choose from", hint="Leave `endpoints` out.")
        several = cast(list[HttpEmbedder], embedders)
        first, documents = several[0], InputType.DOCUMENT
        reference = SpaceReference(self._ledger, first.space(documents), first.as_sent(KNOWN_TEXT, documents))
        return SeveralEmbedders(several, reference=reference, warn=self._warn)

    def _build_place(
        self, adapter: Callable[..., Any], config: EmbedderConfig, shared: Mapping[str, Any], place: EndpointConfig | None = None
    ) -> Embedder:
        """Return the embedder of one place: one of the `endpoints`, or the only one."""
        where, endpoint_limits = place or config, self.shared_limits.of(config, place)
        optional = {
            "model": config.model,
            "base_url": where.base_url,
            "api_version": config.api_version,
            "params": config.params or None,
            "options": config.options or None,
            "tokenizer": self._tokenizer_of(config),
            "http2": config.http2 or None,
        }
        return cast(
            Embedder,
            adapter(
                api_key=key_of(where),
                input_type=config.input_type,
                retry=config.retry.policy,
                timeout=config.timeout,
                price_per_million_tokens=config.price_per_million_tokens,
                headers={name: value.get_secret_value() for name, value in config.headers.items()},
                extra_body=config.extra_body,
                environ=self._environ,
                limiter=endpoint_limits.limiter,
                circuit=endpoint_limits.circuit,
                budget=endpoint_limits.budget,
                named=endpoint_limits.named,
                clock=self._clock,
                rng=self._rng,
                warn=self._warn,
                **{name: value for name, value in optional.items() if value is not None},
                **shared,
            ),
        )


def _identity(config: EmbedderConfig | LlmConfig) -> str:
    """Return a word for a model's settings, its secrets among them."""
    return repr(config) + repr(sorted(config.secrets()))
