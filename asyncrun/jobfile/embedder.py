"""An embedder in the job file: a provider's model, how texts are put to it, and what it costs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from asyncrun.jobfile.endpoint import EndpointConfig
from asyncrun.jobfile.fields import Count, Model, Number, Size, Text

LOCAL_MODEL = "all-MiniLM-L6-v2"
MODEL_NEEDED = frozenset(
    (
        "openai",
        "azure",
        "cohere",
        "voyage",
        "jina",
        "gemini",
        "huggingface",
        "ollama",
        "vllm",
        "llamacpp",
        "infinity",
        "lmstudio",
        "litellm",
    )
)
"""The providers that cannot be asked without the name of a model; the others have one to go by, or serve one alone."""


LOCAL_KEYS = frozenset(("provider", "model", "dimensions", "document_prefix", "query_prefix", "space", "batch", "on_too_long", "on_empty"))
"""The keys that the provider local looks at: nobody is asked, so there is no address, no key, no limit and no price."""


class Batch(Model):
    """How much one request may carry; None: what the provider takes."""

    max_items: Count | None = None
    max_tokens: Count | None = None
    max_bytes: Size | None = None


class EmbedderConfig(EndpointConfig):
    """An embedder as a job uses it.

    `on_too_long` and `on_empty` are resolved: they hold the default of the provider and of the job's kind where the file says nothing.
    """

    dimensions: Count | None = None
    input_type: Text | None = None
    document_prefix: str = ""
    query_prefix: str = ""
    space: Text | None = None
    batch: Batch = Field(default_factory=Batch)
    on_too_long: Literal["fail", "truncate", "split"] = "fail"
    on_empty: Literal["fail", "skip"] = "fail"
    tokenizer: Text | None = None
    price_per_million_tokens: Number | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.provider == "local" and "on_too_long" not in self.model_fields_set:
            object.__setattr__(self, "on_too_long", "truncate")
        return self


def local_embedder() -> EmbedderConfig:
    """Return the default embedder: it needs no declaration, no key and no network."""
    return EmbedderConfig(provider="local")


def short_form(text: str) -> tuple[str, str] | None:
    """Return provider and model of `provider/model`, None for a plain name.

    >>> short_form("openai/text-embedding-3-small")
    ('openai', 'text-embedding-3-small')
    """
    provider, slash, model = text.partition("/")
    return (provider, model) if slash and provider and model else None
