"""Secrets out of texts: one redactor knows the run's secrets and the common shapes of others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import MemberDescriptorType

MASK = "***"

# A sentence about the key, a variable, or the name of a file is no key.
_NO_KEY = r"""(?!(?<=: )[a-z]{1,8} [a-z$]|["']?\$\{\w+\}(?![^\s"',;&}\]])|\{file:)"""
_SHAPES = (
    (re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)\s+)[^\s\"',;]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)((?:x-)?(?:goog-)?api[-_]?key[\"']?\s*[:=]\s*{_NO_KEY}[\"']?)[^\s\"',;&]+"), rf"\1{MASK}"),
    (re.compile(r"://[^/\s:@]+(?::[^/\s@]*)?@"), f"://{MASK}@"),
    (re.compile(r"(?i)([?&](?:key|token|api_key|access_token|sig|signature)=)[^&\s#]+"), rf"\1{MASK}"),
    (re.compile(r"\b(?:sk|pk|hf|al|pa|gsk|jina|hk)[-_][A-Za-z0-9_-]{16,}"), MASK),
)


class Redactor:
    """Replaces secrets by `***`, also as they stand in JSON, HTML and an address; the key of `Bearer KEY` and an address's password, too.

    >>> Redactor(["hunter2hunter2"]).redact("key hunter2hunter2 refused")
    'key *** refused'
    >>> Redactor(["https://me:hunter%2F2@host/ping"]).redact("hunter/2 refused")
    '*** refused'
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for part in _parts(secret) for form in _written(part)}
        # Longest first, so that a secret that contains another leaves nothing behind; under 4 characters would mask words.
        self._secrets = sorted((form for form in forms if len(form) >= 4), key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text


def redact_error(error: BaseException, redact: Callable[[str], str]) -> None:
    """Take secrets out of the words of an error, and of those that led to it: whoever shows it may not know them."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        for name in ("args", "__notes__", *vars(one), *_members(type(one))):
            value = getattr(one, name, None)
            clean = _redacted(value, redact)
            if clean is not value:
                with suppress(AttributeError, TypeError):  # what nobody may set stays
                    object.__setattr__(one, name, clean)
        waiting += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]


def _members(kind: type) -> Iterator[str]:
    """Yield the names of what exceptions of a type hold outside of their dictionary, such as the file's name in an OSError."""
    for base in kind.__mro__:
        yield from (name for name, member in vars(base).items() if isinstance(member, MemberDescriptorType))


def _redacted(value: object, redact: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, tuple | list) and any(isinstance(word, str) for word in value) and type(value) in (tuple, list):
        return type(value)(redact(word) if isinstance(word, str) else word for word in value)
    return value


def _parts(secret: str) -> Iterator[str]:
    from urllib.parse import unquote, urlsplit

    yield secret
    scheme, _, key = secret.partition(" ")
    if scheme.isalpha() and len(key) >= 8:
        yield key
    if "://" in secret:
        with suppress(ValueError):
            password = urlsplit(secret).password or ""
            yield from (password, unquote(password))


def _written(secret: str) -> Iterator[str]:
    from html import escape
    from json import dumps
    from urllib.parse import quote, quote_plus

    yield secret
    yield from (dumps(secret)[1:-1], dumps(secret, ensure_ascii=False)[1:-1], escape(secret))
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret))
