"""A fake server on loopback for vectors, answers and batches: speaks vendors' dialects, keeps a log, and does wrong what it is told to.

`python -m asyncrun.testing` starts it from the shell, for a rehearsal without a key.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import orjson

from asyncrun.short_help import ShortHelp
from asyncrun.testing.chat import Chat, stream_events
from asyncrun.testing.dialects import asked_dimensions, dialect_of, error_body, is_messages, refusal, shortened
from asyncrun.testing.embeddings import EmbeddingLimits, embeddings_reply, tokens_of
from asyncrun.testing.faults import Fault, SeenRequest
from asyncrun.testing.loopback import Listener, in_thread
from asyncrun.testing.messages import limit_headers, message_events, messages_reply
from asyncrun.testing.quota import Meters, Quota
from asyncrun.testing.wire import EVENT_STREAM, read_request, write_reply

if TYPE_CHECKING:
    from asyncrun.testing.batch_servers import BatchServers

FAKE_MODEL = "fake-embedding"
KEY_HEADERS = ("authorization", "api-key", "x-goog-api-key", "x-api-key")
_Answer = tuple[int, bytes, Mapping[str, str]]


class FakeServer(metaclass=ShortHelp):
    """Answers requests for embeddings in every dialect, `POST .../chat/completions`, `POST .../messages` and `GET .../models`.

    Use it with `async with`, or from synchronous code with `in_thread`.

    Args:
        dimensions: Of its vectors, when the request asks for no other number.
        key: The key it demands; None: any, or none.
        latency: Seconds before every answer, or a function that says how many for a request.
        faults: Applied to the requests that they choose, the first one that fits.
        quota: How much it takes within a window of time; beyond that it answers 429 and how long to wait.
        max_in_flight: Requests that it works on at once; the next is told that the model is overloaded.
        max_items: Texts that it takes at once.
        max_input_tokens: Longest text that it takes; a token is four bytes of UTF-8 here.
        max_request_tokens: Most tokens that it takes at once.
        takes_base64: Whether it knows `encoding_format`; otherwise it refuses it.
        chat: How it answers chat completions.
        batches: Batch endpoints of all vendors, whose requests it answers as those that are asked online; None: it has none.
        tls: A server's context, for https.
        port: Where it listens; 0: at any free one.

    >>> async def main() -> str:
    ...     async with FakeServer() as server:
    ...         return server.base_url
    >>> asyncio.run(main()).startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        *,
        dimensions: int = 8,
        key: str | None = None,
        latency: float | Callable[[SeenRequest], float] = 0.0,
        faults: Iterable[Fault] = (),
        quota: Quota | None = None,
        max_in_flight: int | None = None,
        max_items: int = 2048,
        max_input_tokens: int = 8192,
        max_request_tokens: int = 300_000,
        takes_base64: bool = True,
        chat: Chat | None = None,
        batches: BatchServers | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self._listener = Listener(self._converse, tls, port)
        self.dimensions = dimensions
        self.key = key
        self.latency = latency
        self.faults = list(faults)
        self.max_in_flight = max_in_flight
        self.max_items = max_items
        self.max_input_tokens = max_input_tokens
        self.max_request_tokens = max_request_tokens
        self.takes_base64 = takes_base64
        self.chat = chat or Chat()
        self.batches = batches
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self.most_in_flight = 0
        self._in_flight = 0
        self._meters = Meters(quota or Quota())
        self._hits: dict[int, int] = {}
        self._numbers = itertools.count()

    @property
    def base_url(self) -> str:
        """Return the address that an embedder is given."""
        return f"{self._listener.origin}/v1"

    def vendor_url(self, vendor: str) -> str:
        """Return the address that an embedder or a chat model with `delivery: batch` is given, by the vendor whose words it speaks."""
        from asyncrun.testing.batch_servers.servers import BASE_PATHS

        return self._listener.origin + BASE_PATHS[vendor]

    @property
    def sent_texts(self) -> list[str]:
        """Return all texts that were ever sent, in the order of the requests."""
        return [text for request in self.requests for text in request.texts]

    @property
    def prompts(self) -> list[str]:
        """Return the last message of every chat completion that was asked for, in the order of the requests."""
        return [prompt for request in self.requests for prompt in request.prompts]

    @property
    def batch_sizes(self) -> list[int]:
        """Return how many texts each request had."""
        return [len(request.texts) for request in self.requests]

    async def __aenter__(self) -> Self:
        await self._listener.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._listener.aclose()

    def in_thread(self) -> AbstractContextManager[Self]:
        """Serve from a thread with a loop of its own, for tests of the command line."""
        return in_thread(self)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while (request := await self._read(reader)) is not None:
            self.requests.append(request)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            try:
                if not await self._answer(request, writer):
                    return
            finally:
                self._in_flight -= 1

    async def _read(self, reader: asyncio.StreamReader) -> SeenRequest | None:
        read = await read_request(reader)
        if read is None:
            return None
        head, body = read
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            document = None
        return SeenRequest(next(self._numbers), head.method, head.path, head.headers, body, time.monotonic(), document)

    async def _answer(self, request: SeenRequest, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        crowded = self.max_in_flight is not None and self._in_flight > self.max_in_flight
        fault = self._fault(request)
        latency = self.latency(request) if callable(self.latency) else self.latency
        if latency or fault.delay:
            await asyncio.sleep(latency + fault.delay)
        if crowded:
            status = 529 if is_messages(request.path) else 429
            body = refusal(request.path, request.document, status, error_body("Model is overloaded", kind="overloaded", code="overloaded"))
            answer: _Answer = status, body, {}
        else:
            answer = self._reply(request, fault)
        return await write_reply(writer, *answer, fault)

    def _fault(self, request: SeenRequest) -> Fault:
        for place, fault in enumerate(self.faults):
            if fault.when(request):
                hits = self._hits[place] = self._hits.get(place, 0) + 1
                if fault.after < hits and (fault.times is None or hits <= fault.after + fault.times):
                    return fault
        return Fault()

    def _reply(self, request: SeenRequest, fault: Fault) -> _Answer:
        if fault.status is None and fault.body is None:
            if self.batches is not None:
                key = given_key(request)
                reply = self.batches.reply(
                    request, key, self._answer_as_online, known=self.key in (None, key), origin=self._listener.origin
                )
                if reply is not None:
                    return reply
            if (throttle := self._over_quota(request)) is not None:
                return 429, refusal(request.path, request.document, 429, throttle[0]), throttle[1]
        return self._unlimited(request, fault)

    def _answer_as_online(self, path: str, document: Any) -> tuple[int, Any]:
        headers = {KEY_HEADERS[0]: f"Bearer {self.key}", "anthropic-version": "2023-06-01"}
        request = SeenRequest(-1, "POST", path, headers, orjson.dumps(document), time.monotonic(), document)
        status, body, _ = self._unlimited(request, self._fault(request))
        try:
            return status, orjson.loads(body)
        except orjson.JSONDecodeError:
            return 500, orjson.loads(error_body("The server had an error while processing your request.", kind="server_error"))

    def _unlimited(self, request: SeenRequest, fault: Fault) -> _Answer:
        """Return the reply to a request that no quota keeps away."""
        if fault.status is not None or fault.body is not None:
            status, body = fault.status or 200, fault.body or b""
            return status, refusal(request.path, request.document, status, body) if fault.translated else body, {}
        status, document = self._right_reply(request)
        dialect = dialect_of(request.path, request.document)
        if isinstance(document, bytes):
            document = refusal(request.path, request.document, status, document)
        elif dialect is not None:
            document = dialect.answer(document if fault.spoil is None else fault.spoil(document))
        if status == 200 and fault.change is not None:
            document = fault.change(document)
        if status == 200 and isinstance(document, dict) and (events := _events(request.document, document)):
            body = b"".join(events if fault.events is None else fault.events(events))
            return status, body, {"content-type": EVENT_STREAM, **self._limit_headers(request)}
        return status, document if isinstance(document, bytes) else orjson.dumps(document), self._limit_headers(request)

    def _limit_headers(self, request: SeenRequest) -> Mapping[str, str]:
        headers = self._meters.headers(time.monotonic())
        return limit_headers(headers, time.time()) if is_messages(request.path) else headers

    def _over_quota(self, request: SeenRequest) -> tuple[bytes, Mapping[str, str]] | None:
        texts = request.texts or request.prompts
        now, amounts = time.monotonic(), {"requests": 1, "tokens": sum(map(tokens_of, texts)), "inputs": len(texts)}
        wait = self._meters.admit(amounts, now) if texts else 0.0
        if wait == 0:
            return None
        headers = self._limit_headers(request)
        if wait == math.inf:
            return error_body("Request too large: it exceeds the limit by itself", kind="tokens", code="rate_limit_exceeded"), headers
        if self._meters.quota.told:
            headers = {**headers, "retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}
        return error_body("Rate limit reached", kind="requests", code="rate_limit_exceeded"), headers

    def _right_reply(self, request: SeenRequest) -> tuple[int, Any]:
        """Return the reply as OpenAI has it, whatever the dialect; an error is bytes."""
        given = given_key(request)
        if self.key is not None and given != self.key:
            # Real servers repeat the key, a part of it masked or not; here all of it, for whoever must not pass it on.
            return 401, error_body(f"Incorrect API key provided: {given}.", code="invalid_api_key")
        if request.method == "GET" and request.path.endswith("/models"):
            return 200, {"object": "list", "data": [{"id": FAKE_MODEL, "object": "model"}]}
        if request.method == "POST" and request.path.split("?")[0].endswith("/chat/completions") and isinstance(request.document, dict):
            return self.chat.reply(request.document)
        if request.method == "POST" and is_messages(request.path):
            return messages_reply(self.chat, request.document, request.headers)
        dialect = dialect_of(request.path, request.document)
        if request.method != "POST" or dialect is None:
            return 404, error_body(f"Unknown request URL: {request.method} {request.path}.", code="unknown_url")
        if not isinstance(request.document, dict) or not request.texts:
            return 400, error_body("'input' is a required property.")
        texts = shortened(request.texts, self.max_input_tokens) if dialect.cuts(request.document) else request.texts
        limits = EmbeddingLimits(self.max_items, self.max_input_tokens, self.max_request_tokens, takes_base64=self.takes_base64)
        size = asked_dimensions(dialect, request.document) or self.dimensions
        return embeddings_reply({"model": FAKE_MODEL, **request.document}, texts, size, limits)


def given_key(request: SeenRequest) -> str:
    """Return the key of a request."""
    return next((request.headers[name] for name in KEY_HEADERS if name in request.headers), "none").removeprefix("Bearer ")


def _events(asked: Any, reply: Mapping[str, Any]) -> list[bytes]:
    """Return the events of a streamed answer, none where it is to come as a whole."""
    if not isinstance(asked, dict) or asked.get("stream") is not True:
        return []
    if reply.get("type") == "message":
        return message_events(reply)
    return stream_events(reply, counted=bool((asked.get("stream_options") or {}).get("include_usage"))) if "choices" in reply else []
