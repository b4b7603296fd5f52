"""From the job file's words to chat models, and to how a job answers with one."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from asyncrun import registry
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.retry import CircuitBreaker, RetryBudget
from asyncrun.clock import Clock
from asyncrun.embedders.named_tokenizer import load_tokenizer
from asyncrun.endpoints.options import EndpointOptions
from asyncrun.errors import StorageError, UsageError, os_words
from asyncrun.grammar.prompt import DEFAULT_PROMPT, TemplateError, parse_prompt
from asyncrun.jobfile.jobs import Prompt, QueryJob
from asyncrun.jobfile.sections import EndpointConfig, LlmConfig
from asyncrun.jobs.questions import Answering
from asyncrun.llms.interface import Llm, Price


def build_llm(
    config: LlmConfig,
    place: EndpointConfig | None = None,
    *,
    limiter: Limiter,
    circuit: CircuitBreaker,
    budget: RetryBudget,
    clock: Clock,
    rng: random.Random,
    environ: Mapping[str, str],
) -> Llm:
    """Return a chat model at one of its `endpoints`, or at its only place. Raises UsageError for what cannot be used."""
    where = place or config
    price = config.price_per_million_tokens
    options = EndpointOptions(
        retry=config.retry.policy,
        timeout=config.timeout,
        http2=config.http2,
        headers={name: value.get_secret_value() for name, value in config.headers.items()},
        limiter=limiter,
        circuit=circuit,
        budget=budget,
        clock=clock,
        rng=rng,
    )
    adapter = registry.load("llms", config.provider)
    return cast(
        Llm,
        adapter(
            model=config.model,
            provider=config.provider,
            api_key=where.api_key.get_secret_value() if where.api_key else None,
            base_url=where.base_url,
            temperature=config.temperature,
            max_output_tokens=config.max_output_tokens,
            system=config.system,
            price=None if price is None else Price(price.input, price.output),
            api_version=config.api_version,
            params=config.params,
            extra_body=config.extra_body,
            environ=environ,
            **options,
        ),
    )


def build_answering(job: QueryJob, llm: Llm, root: Path) -> Answering:
    """Return how a job answers. Blocks.

    Raises StorageError for a prompt that cannot be read, UsageError for one that is no template, and for a tokenizer that is not there.
    """
    try:
        template = parse_prompt(_prompt(job.prompt, root))
    except TemplateError as error:
        raise UsageError(f"the prompt of the job {job.name} cannot be used: {error}", hint="Correct `prompt` in the job file.") from error
    name = job.llm.tokenizer if job.llm is not None else None
    tokenizer = None if name is None else load_tokenizer(str(root / name) if name.endswith(".json") else name)
    return Answering(llm, template, job.context_tokens, tokenizer, name)


def _prompt(prompt: Prompt | None, root: Path) -> str:
    if prompt is None or prompt.path is None:
        return DEFAULT_PROMPT if prompt is None or prompt.text is None else prompt.text
    path = root / prompt.path
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the prompt {path}: {os_words(error)}", hint="Correct `prompt` in the job file.") from error
