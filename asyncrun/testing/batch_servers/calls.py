"""A request to a batch endpoint as the fake servers see it, and what they send back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

NDJSON = "application/x-ndjson"
OnlineAnswer = Callable[[str, Any], tuple[int, Any]]
"""Path and JSON of a request, to status and JSON of the reply that it has online."""


class LostReplyError(ConnectionError):
    """The connection is cut before a byte of the reply: what was asked for has been done."""


@dataclass(frozen=True, slots=True)
class VendorCall:
    """One request; `parts` are the steps of its path, `key` is whose it is, `query` has the last value of each name.

    `origin` is the address that all of the vendor's paths stand behind.

    >>> VendorCall.of("GET", "/v1/batches/b?limit=2", {}, b"", "").parts
    ('v1', 'batches', 'b')
    """

    method: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    key: str
    origin: str = ""

    @classmethod
    def of(cls, method: str, path: str, headers: Mapping[str, str], body: bytes, key: str) -> VendorCall:
        """Return the call of a request as it is on the wire."""
        path, _, query = path.partition("?")
        return cls(method, tuple(unquote(part) for part in path.split("/") if part), dict(parse_qsl(query)), headers, body, key)

    @property
    def document(self) -> dict[str, Any]:
        """Return the JSON object of the body, an empty one where it is none."""
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return document if isinstance(document, dict) else {}

    def form(self) -> dict[str, tuple[str | None, bytes]]:
        r"""Return the fields of a multipart body: the name of a file, None for a plain field, and its bytes.

        >>> headers = {"content-type": "multipart/form-data; boundary=x"}
        >>> body = b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x--\r\n'
        >>> VendorCall.of("POST", "/v1/files", headers, body, "").form()
        {'purpose': (None, b'batch')}
        """
        kind = self.headers.get("content-type", "")
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode())
        boundary = message.get_boundary()
        found: dict[str, tuple[str | None, bytes]] = {}
        for part in self.body.split(f"--{boundary}".encode())[1:-1] if boundary else []:
            head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            about = BytesParser(policy=HTTP).parsebytes(head + b"\r\n\r\n", headersonly=True)
            name = about.get_param("name", header="content-disposition")
            found[str(name)] = about.get_filename(), content.removesuffix(b"\r\n")
        return found


@dataclass(frozen=True, slots=True)
class VendorReply:
    """A reply: its body is JSON, or bytes as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        """Return the body as it goes out."""
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


def iso_time(moment: float | None) -> str | None:
    """Return a moment as RFC 3339 has it.

    >>> iso_time(1_800_000_000.5)
    '2027-01-15T08:00:00.500000Z'
    """
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def whole(moment: float | None) -> int | None:
    """Return a moment in whole seconds."""
    return None if moment is None else int(moment)
