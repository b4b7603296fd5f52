"""What every model behind an address has in the job file: address, key, limits, retry, headers."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from asyncrun.aio.retry import RetryPolicy
from asyncrun.jobfile.fields import Accepts, Address, Count, Duration, Flag, Model, Rate, Share, Text, wrong


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


class Limits(Model):
    """What the endpoint allows; None: not known. `share` (above 0, up to 1) is the part of it that is ours."""

    requests_per_minute: Rate | None = None
    tokens_per_minute: Rate | None = None
    inputs_per_minute: Rate | None = None
    concurrency: Count | None = None
    share: Share = Field(default=1.0, json_schema_extra={"default": "100%"})


class Retry(Model):
    """Attempts of one batch, the first included, and the seconds that it may wait for throttles in all."""

    attempts: Count = 6
    max_wait: Duration = 900.0

    @property
    def policy(self) -> RetryPolicy:
        """Return how patient a batch is; only where no number is stated is a first request that reaches nobody given up early."""
        hasty = "attempts" not in self.model_fields_set
        return RetryPolicy(attempts=self.attempts, max_wait=self.max_wait, max_hint=self.max_wait, hasty=hasty)


class Endpoint(Model):
    """One of several places that serve the same model."""

    base_url: Address
    api_key: ApiKey = None
    limits: Limits = Field(default_factory=Limits)


class EndpointConfig(Model):
    """A model, where it is served, and how its endpoint is treated. `timeout` is seconds for one attempt."""

    provider: Text
    model: Text | None = None
    base_url: Address | None = None
    endpoints: tuple[Endpoint, ...] = ()
    api_key: ApiKey = None
    api_version: Text | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    limits: Limits = Field(default_factory=Limits)
    retry: Retry = Field(default_factory=Retry)
    timeout: Duration = 60.0
    http2: Flag = False
    headers: Headers = Field(default_factory=dict)
    extra_body: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.endpoints and (self.base_url or self.api_key):
            raise wrong("endpoints stand instead of base_url and api_key", "one or the other")
        keys = [(place.base_url, place.api_key.get_secret_value() if place.api_key else None) for place in self.endpoints]
        if len(set(keys)) < len(keys):
            raise wrong("two of the endpoints are the same", "each base_url with each key once")
        return self

    def places(self) -> tuple[Endpoint, ...]:
        """Return the endpoints, each with its limits: what it does not state is as the model has it."""
        shared = {name: getattr(self.limits, name) for name in self.limits.model_fields_set}
        own = ({name: getattr(place.limits, name) for name in place.limits.model_fields_set} for place in self.endpoints)
        return tuple(
            place.model_copy(update={"limits": Limits.model_construct(_fields_set={*shared, *stated}, **{**shared, **stated})})
            for place, stated in zip(self.endpoints, own, strict=True)
        )

    def secrets(self) -> frozenset[str]:
        """Return the keys and header values of this endpoint."""
        keys = [self.api_key, *(place.api_key for place in self.endpoints), *self.headers.values()]
        return frozenset(key.get_secret_value() for key in keys if key is not None)
