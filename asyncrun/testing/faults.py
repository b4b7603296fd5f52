"""What a fake server is told to do wrong, and the requests that it has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncrun.short_help import ShortHelp
from asyncrun.testing.dialects import error_body, request_texts


@dataclass(frozen=True, slots=True, eq=False)
class SeenRequest(metaclass=ShortHelp):
    """One request as the server read it; `at` is monotonic, `number` counts from 0 over all requests.

    >>> seen = SeenRequest(0, "POST", "/v1/embeddings", {}, b"{}", at=0.0, document={"input": ["Hello"]})
    >>> seen.texts
    ['Hello']
    """

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
        return request_texts(self.document)

    @property
    def prompts(self) -> list[str]:
        """Return the last message of a chat completion."""
        messages = self.document.get("messages") if isinstance(self.document, dict) else None
        return [str(messages[-1].get("content"))] if isinstance(messages, list) and messages else []


@dataclass(frozen=True, slots=True, eq=False)
class Fault(metaclass=ShortHelp):
    """What happens to requests, instead of or on top of the right reply.

    `when` chooses requests, `times` is how many of them are hit (None: all), `after` how many are let through before.
    A `status` or a `body` replaces the reply; a body that is `translated` is an error in OpenAI's shape, and is told in the dialect of the
    request. `spoil` changes the right answer as OpenAI has it (`model`, `data`, `usage`), before it is put into that dialect, `change` its
    JSON after that. `delay` waits before the first byte, `drip` waits that many seconds after each byte, `cut` closes the connection after
    that many bytes of the reply's body (-1: before a single byte of the reply), `chunked` sends it in chunks and without its length,
    `repeat` sends it so many times (and says no length), `hang_up` closes the connection after a whole reply, without a word.
    Of a streamed chat completion, `events` changes its server-sent events, each with the blank line behind it, `pause` waits that many
    seconds after each, and `hang_up` leaves out the end of the reply.

    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> from asyncrun.testing import FakeServer
    >>> with FakeServer(faults=[Fault(status=413, when=lambda request: "secret" in request.body.decode())]).in_thread() as server:
    ...     len(OpenAIEmbedding("m", base_url=server.base_url).get_text_embedding("Hello"))
    8
    """

    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    translated: bool = False
    spoil: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    change: Callable[[Any], Any] | None = None
    delay: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    chunked: bool = False
    repeat: int = 1
    hang_up: bool = False
    events: Callable[[list[bytes]], list[bytes]] | None = None
    pause: float = 0.0
    when: Callable[[SeenRequest], bool] = lambda request: True
    times: int | None = 1
    after: int = 0


def error(status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None, **options: Any) -> Fault:
    """Return a fault with an error, in the shape of the request's dialect."""
    return Fault(status=status, body=error_body(message, kind=kind, code=code), translated=True, **options)
