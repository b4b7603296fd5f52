"""The job file's sections beside embedders and jobs: stores, llms, trace, executor, notify."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from asyncrun.jobfile.endpoint import ApiKey, EndpointConfig
from asyncrun.jobfile.fields import Count, Duration, FilePath, Flag, Model, Number, Size, Temperature, Text, wrong


def _address(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not (text.isascii() and text.isprintable()) or " " in text:
        raise wrong("not an address that can be pinged", "https://HOST/..., better from a variable: ${HEALTHCHECK_URL}")
    return value


STORE_KEYS = {"sqlite": frozenset({"type", "path"})}
"""The keys that a type of store looks at; a type that is not here takes them all."""


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

    def secrets(self) -> frozenset[str]:
        """Return the store's key and address."""
        return frozenset(value.get_secret_value() for value in (self.url, self.api_key) if value is not None)


class Price(Model):
    """USD per million tokens that go in and come out."""

    input: Number
    output: Number


class LlmConfig(EndpointConfig):
    """A model that answers from hits."""

    temperature: Temperature | None = None
    max_output_tokens: Count | None = None
    system: str | None = None
    tokenizer: Text | None = None
    price_per_million_tokens: Price | None = None


class TraceConfig(Model):
    """How long traces are kept (seconds), how large they may become (bytes), and whether they hold the texts of items."""

    keep: Duration = 30 * 86400.0
    max_size: Size = 500_000_000
    text: Flag = False


class ExecutorConfig(Model):
    """Where jobs run."""

    type: Literal["local", "ray"] = "local"
    address: Text | None = None
    processes: Count | None = None


class NotifyConfig(Model):
    """Who is told: an address that is called at start and end."""

    ping: Annotated[SecretStr, AfterValidator(_address)] | None = None
