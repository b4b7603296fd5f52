"""What is asked of the server and what it answers, without a word about sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import parse_qsl

HTML = "text/html; charset=utf-8"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
_FENCES: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""What every answer says, so that no other site can show it in a frame, take its content, or learn its address."""


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One request: its method, its target as it was sent (`/runs.json?page=2`), and its headers by their names in small letters."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Return the target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """Return what stands in the query; of one name the last.

        >>> WebRequest("GET", "/runs.json?page=2&file=a%20b.yaml").query
        {'page': '2', 'file': 'a b.yaml'}
        """
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True, max_num_fields=20))


@dataclass(frozen=True, slots=True)
class WebResponse:
    """One answer: its status, its body, and the headers beyond those that every answer has."""

    status: int
    body: bytes = b""
    type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)

    def all_headers(self) -> dict[str, str]:
        """Return its headers as they are sent."""
        length = {} if self.status == 304 else {"content-type": self.type, "content-length": str(len(self.body))}
        return {**_FENCES, **self.headers, **length}


def said(status: int, sentence: str, **headers: str) -> WebResponse:
    """Return an answer that is a sentence for who reads it in a browser."""
    return WebResponse(status, f"{sentence}\n".encode(), headers={name.replace("_", "-"): value for name, value in headers.items()})


def tagged(body: bytes, kind: str, known: str | None) -> WebResponse:
    """Return a body, or 304 where the browser has it: `known` is the tag (ETag) of what it has.

    >>> first = tagged(b"{}", JSON, None)
    >>> tagged(b"{}", JSON, first.headers["etag"]).status
    304
    """
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    return WebResponse(304 if known == tag else 200, b"" if known == tag else body, kind, {"etag": tag})
