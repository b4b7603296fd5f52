"""The job file's sections: embedders and llms with their endpoints, stores, trace, executor, metrics."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from asyncrun.aio.retry import RetryPolicy
from asyncrun.jobfile.field_types import (
    Accepts,
    Count,
    DeliveryField,
    Duration,
    FilePath,
    Flag,
    Model,
    Number,
    Percentage,
    Rate,
    ServerAddress,
    Size,
    Temperature,
    Text,
    wrong,
)


def _sendable(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable():
        raise wrong("holds a line break or another character that cannot be sent in a header", "printable ASCII")
    return value


def _key(value: object) -> object:
    if value is not None and not isinstance(value, str | SecretStr):
        raise wrong("", "${VAR}, or {file: PATH}")
    # A key that was written to a variable by $(cat FILE) or by hand often ends in a line break.
    return value.strip() if isinstance(value, str) else value


KEY_FILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"file": {"type": "string", "description": "The key is read from this file at start."}},
    "required": ["file"],
    "additionalProperties": False,
}
Secret = Annotated[SecretStr, AfterValidator(_sendable)]
ApiKey = Annotated[Secret | None, BeforeValidator(_key), Accepts((KEY_FILE_SCHEMA,))]
Headers = dict[str, Secret]


class LimitsConfig(Model):
    """What the endpoint allows; None: not known. `share` (above 0, up to 1) is the part of it that is ours.

    `shared` says whether the shards of a run divide it.
    """

    requests_per_minute: Rate | None = None
    tokens_per_minute: Rate | None = None
    inputs_per_minute: Rate | None = None
    input_tokens_per_minute: Rate | None = None
    output_tokens_per_minute: Rate | None = None
    concurrency: Count | None = None
    share: Percentage = Field(default=1.0, json_schema_extra={"default": "100%"})
    shared: Flag = True


class RetryConfig(Model):
    """Attempts of one batch, the first included, and the seconds that it may wait for throttles in all."""

    attempts: Count = RetryPolicy().attempts
    max_wait: Duration = RetryPolicy().max_wait

    @property
    def policy(self) -> RetryPolicy:
        """Return how patient a batch is; only where no number is stated is a first request that reaches nobody given up early."""
        unstated = "attempts" not in self.model_fields_set
        return RetryPolicy(attempts=self.attempts, max_wait=self.max_wait, max_hint=self.max_wait, stop_if_unreachable=unstated)


class EndpointConfig(Model):
    """One of several servers of the same model."""

    base_url: ServerAddress
    api_key: ApiKey = None
    limits: LimitsConfig = Field(default_factory=LimitsConfig)


class ModelConfig(Model):
    """A model, where it is served, and how its endpoint is treated. `timeout` is seconds for one attempt.

    `delivery` says how requests reach it: one by one, or in batches that its provider answers within a day, for less.
    """

    provider: Text
    model: Text | None = None
    base_url: ServerAddress | None = None
    endpoints: tuple[EndpointConfig, ...] = ()
    api_key: ApiKey = None
    api_version: Text | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    retry: RetryConfig = Field(default_factory=RetryConfig)
    delivery: DeliveryField = "online"
    timeout: Duration = 60.0
    http2: Flag = False
    headers: Headers = Field(default_factory=dict)
    extra_body: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.endpoints and (self.base_url or self.api_key):
            raise wrong("endpoints stand instead of base_url and api_key", "one or the other")
        keys = [(endpoint.base_url, endpoint.api_key.get_secret_value() if endpoint.api_key else None) for endpoint in self.endpoints]
        if len(set(keys)) < len(keys):
            raise wrong("two of the endpoints are the same", "each base_url with each key once")
        return self

    def endpoints_with_limits(self) -> tuple[EndpointConfig, ...]:
        """Return the endpoints, each with its limits: what it does not state is as the model has it."""
        shared = {name: getattr(self.limits, name) for name in self.limits.model_fields_set}
        own = ({name: getattr(endpoint.limits, name) for name in endpoint.limits.model_fields_set} for endpoint in self.endpoints)
        return tuple(
            endpoint.model_copy(update={"limits": LimitsConfig.model_construct(_fields_set={*shared, *stated}, **{**shared, **stated})})
            for endpoint, stated in zip(self.endpoints, own, strict=True)
        )

    def secrets(self) -> frozenset[str]:
        """Return the keys and header values of this endpoint."""
        keys = [self.api_key, *(endpoint.api_key for endpoint in self.endpoints), *self.headers.values()]
        return frozenset(key.get_secret_value() for key in keys if key is not None)


class BatchConfig(Model):
    """How much one request may carry; None: what the provider takes."""

    max_items: Count | None = None
    max_tokens: Count | None = None
    max_bytes: Size | None = None


class EmbedderConfig(ModelConfig):
    """An embedder as a job uses it.

    `on_too_long` and `on_empty` are resolved: they hold the default of the provider and of the job's kind where the file says nothing.
    """

    purpose: ClassVar[Literal["embeddings"]] = "embeddings"

    dimensions: Count | None = None
    input_type: Text | None = None
    document_prefix: str = ""
    query_prefix: str = ""
    space: Text | None = None
    batch: BatchConfig = Field(default_factory=BatchConfig)
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


DATABASE_FILES = ("sqlite", "llama-index")
"""The built-in stores that are one SQLite file at `path`, or keep their records in it."""


class StoreConfig(Model):
    """A store; which keys count depends on its type. `url` may hold a password and is never shown."""

    type: Text = "sqlite"
    path: FilePath = "index.db"
    url: SecretStr | None = None
    api_key: ApiKey = None
    schema_name: Text | None = Field(default=None, alias="schema")
    index: Text | None = None
    create: Flag = True
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_database_file(self) -> bool:
        """Whether `path` is one SQLite file."""
        return self.type in DATABASE_FILES

    def secrets(self) -> frozenset[str]:
        """Return the store's key and address."""
        return frozenset(value.get_secret_value() for value in (self.url, self.api_key) if value is not None)


class PriceConfig(Model):
    """USD per million tokens that go in and come out."""

    input: Number
    output: Number
    cached_input: Number | None = None


class LlmConfig(ModelConfig):
    """A model that answers."""

    purpose: ClassVar[Literal["chat"]] = "chat"

    temperature: Temperature | None = None
    max_output_tokens: Count | None = None
    system: str | None = None
    tokenizer: Text | None = None
    price_per_million_tokens: PriceConfig | None = None


class TraceConfig(Model):
    """How long traces are kept (seconds), how large they may become (bytes), and whether they hold the texts of items."""

    keep: Duration = 30 * 86400.0
    max_size: Size = 500_000_000
    text: Flag = False


class ExecutorConfig(Model):
    """Where calls run: requests, models on this machine's processors, the cutting of documents.

    `cpus` and `gpus` are what a cluster keeps free for each of the `processes`.
    """

    type: Literal["local", "processes", "ray"] = "local"
    address: Text | None = None
    processes: Count | None = None
    cpus: Number = 1.0
    gpus: Number = 0.0

    def overridden(self, kind: str | None) -> ExecutorConfig:
        """Return the executor of a run whose flag names another kind: what does not belong to that one is left out."""
        if kind in (None, self.type):
            return self
        kept = {key: getattr(self, key) for key in self.model_fields_set & EXECUTOR_KEYS.get(str(kind), frozenset()) - {"type"}}
        return ExecutorConfig.model_validate({"type": kind, **kept})


EXECUTOR_KEYS = {
    "local": frozenset({"type"}),
    "processes": frozenset({"type", "processes"}),
    "ray": frozenset({"type", "address", "processes", "cpus", "gpus"}),
}
"""The keys that a type of executor looks at."""


class MetricsConfig(Model):
    """Where the figures of the last run are written."""

    metrics: FilePath | None = None
