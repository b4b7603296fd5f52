"""What a fake server is told to do wrong: frozen records, and the common ones by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class SeenRequest:
    """One request as the server read it; `at` is monotonic, `number` counts from 0 over all requests."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    document: Any = None

    @property
    def texts(self) -> list[str]:
        """Return the texts of an embedding request."""
        if not isinstance(self.document, dict):
            return []
        given = self.document.get("input") or self.document.get("texts") or []
        return [given] if isinstance(given, str) else list(given)


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """What happens to requests, instead of or on top of the right reply.

    `when` chooses requests, `times` is how many of them are hit (None: all), `after` how many are let through before.
    A `status` or a `body` replaces the reply, `change` changes the right one's JSON, `delay` waits before the first byte,
    `drip` waits that many seconds after each byte, `cut` closes the connection after that many bytes of the reply's body
    (-1: before a single byte of the reply).
    """

    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[dict[str, Any]], Any] | None = None
    delay: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    when: Callable[[SeenRequest], bool] = lambda request: True
    times: int | None = 1
    after: int = 0


def parse_fault(text: str) -> Fault:
    """Return a fault from JSON, as the command line of the server takes it; `body` may be text or a document, `text` chooses requests.

    >>> parse_fault('{"status": 429, "headers": {"retry-after": "2"}, "times": null}').status
    429

    Raises ValueError or TypeError for what is no fault.
    """
    given = json.loads(text)
    body = given.pop("body", None)
    needle = given.pop("text", None)
    if body is not None:
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    if needle is not None:
        given["when"] = lambda request: any(needle in text for text in request.texts)
    return Fault(body=body, **given)


def error(status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None, **options: Any) -> Fault:
    """Return a fault with an error in OpenAI's shape."""
    return Fault(status=status, body=error_body(message, kind=kind, code=code), **options)


def error_body(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> bytes:
    """Return an error document in OpenAI's shape."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()
