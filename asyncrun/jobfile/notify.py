"""The section `notify`: who is told of a run, of which ends, and what in the addresses is secret.

An address of Apprise holds its key in whatever place the service has for it, so all of it is a secret: it is named by its service alone.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema, model_validator

from asyncrun.jobfile.field_types import Accepts, Model, one_or_more, wrong

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9.+-]{0,30})://[^\s\x00-\x20\x7f]+")
_WITH_VARIABLE = {"type": "string", "pattern": r"\$\{.+\}"}
_WORDS = re.compile(r"[^/:@?&=#,+]{8,}")
_PLAIN = re.compile(r"[a-z_-]+|(?:[a-z0-9-]+\.)+[a-z]{2,}|\d+(?:\.\d+){3}")


def is_notice_address(text: str) -> bool:
    """Tell whether a text has the form of an address of Apprise; which services there are is not known here.

    >>> is_notice_address("mailto://me:password@example.com"), is_notice_address("me@example.com")
    (True, False)
    """
    return _ADDRESS.fullmatch(text) is not None


def secrets_in(address: str) -> frozenset[str]:
    """Return the address, and every word in it that may be a key: one that is neither a word of small letters nor a name of a host.

    >>> sorted(secrets_in("slack://T1JJ3T3L2/A1BRTD4JD/notifications"))
    ['A1BRTD4JD', 'T1JJ3T3L2', 'slack://T1JJ3T3L2/A1BRTD4JD/notifications']
    """
    words = [word for word in _WORDS.findall(address.partition("://")[2]) if not _PLAIN.fullmatch(word)]
    return frozenset({address, *words, *map(unquote, words)})


def _address(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not (text.isascii() and text.isprintable()) or " " in text:
        raise wrong("not an address that can be pinged", "https://HOST/..., better from a variable: ${HEALTHCHECK_URL}")
    return value


def _one_or_more(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return [value] if isinstance(value, SecretStr) else one_or_more(value)


NoticeTime = Literal["failure", "partial", "always", "recovered", "never"]
"""An end that is told: `failure` is every one that did not go well, `recovered` the first good one after such a one."""


def _notice_address(value: SecretStr) -> SecretStr:
    if not is_notice_address(value.get_secret_value()):
        raise wrong("not an address of Apprise", "SERVICE://..., from a variable: ${SLACK_URL}")
    return value


NoticeAddress = Annotated[SecretStr, AfterValidator(_notice_address), WithJsonSchema(_WITH_VARIABLE)]


class NotifyConfig(Model):
    """Who is told: an address that is called at start and end, and addresses of Apprise that are told of ends of some kinds."""

    model_config = ConfigDict(json_schema_extra={"dependentRequired": {"when": ["to"]}})

    ping: Annotated[SecretStr, AfterValidator(_address)] | None = None
    to: Annotated[tuple[NoticeAddress, ...], BeforeValidator(_one_or_more), Accepts((_WITH_VARIABLE,))] = ()
    when: Annotated[tuple[NoticeTime, ...], BeforeValidator(_one_or_more), Accepts(({"enum": list(get_args(NoticeTime))},))] = Field(
        default=("failure",), json_schema_extra={"default": "failure"}
    )

    @model_validator(mode="after")
    def _told_to_somebody(self) -> Self:
        if "when" in self.model_fields_set and "to" not in self.model_fields_set:
            raise wrong("`when` stands without `to`", "to: [...] beside it; a ping is told of every end")
        return self

    def secrets(self) -> frozenset[str]:
        """Return the addresses, and what in them gives them away."""
        pinged = () if self.ping is None else (self.ping.get_secret_value(),)
        return frozenset({*pinged, *(secret for address in self.to for secret in secrets_in(address.get_secret_value()))})
