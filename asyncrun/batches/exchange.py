"""Requests to a provider's batch endpoint: what may be sent twice is tried again; refusals mean what they mean online."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import orjson

from asyncrun.aio.retry import Backoff, FailureClass, decide
from asyncrun.batches.documents import name_with, text_of
from asyncrun.batches.file_content import FileContent, written
from asyncrun.batches.interface import Refusal
from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.endpoints.replies import RequestError, not_reached, read_reply
from asyncrun.errors import AsyncrunError, EndpointError, OutageError, ThrottledError
from asyncrun.http import OpenReply, open_reply
from asyncrun.http_replies import MAX_REPLY, Reply
from asyncrun.humanize import counted
from asyncrun.transport_faults import TransportError, TransportFault

T = TypeVar("T")
SLOWEST_UPLOAD = 50_000
"""Bytes a second: a line that is slower than this is taken to be broken."""
LARGEST_DOWNLOAD = 2**36
MOST_REDIRECTS = 3
_NOT_SENT = frozenset({TransportFault.REFUSED, TransportFault.DNS, TransportFault.DNS_AGAIN, TransportFault.TLS, TransportFault.ADDRESS})
_ABSENT = re.compile(r"no such|not found|(does|may|could) not (be found|exist)|has expired|been deleted", re.IGNORECASE)
# Seen: "Enqueued token limit reached for gpt-4o in organization ...", `token_limit_exceeded` (Azure), 100 batches in flight (Voyage).
_FULL = re.compile(r"enqueued|token_limit_exceeded|limit of .{0,40}batch|in.flight|pending (requests|batches)|queue", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class JsonReply:
    """A reply's JSON, None where it has no body, and its headers, their names in lower case."""

    document: Any
    headers: Mapping[str, str]


@dataclass(slots=True)
class _Tries:
    failures: int = 0
    throttles: int = 0
    waited: float = 0.0


class BatchExchange:
    """Sends to one endpoint; `endpoint` has its address, key, connections and patience, but no part in the limits of online requests."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def ask(self, method: str, url: str, body: object = None) -> Any:
        """Send what may be sent several times until it is answered, and return the reply's JSON. Raises what is about the endpoint."""
        return (await self.tried(partial(self.once, method, url, body))).document

    async def tried(self, send: Callable[[], Awaitable[JsonReply]]) -> JsonReply:
        """Send until it is answered. Raises what is about the endpoint."""
        try:
            return await self._repeated(send)
        except RequestError as error:
            raise self._final(error) from error

    async def find(self, method: str, url: str) -> JsonReply | None:
        """Ask for something that may not be there any more, as `ask` does; None where it is not."""
        try:
            return await self._repeated(partial(self.once, method, url))
        except RequestError:
            return None

    async def once(
        self,
        method: str,
        url: str,
        body: object = None,
        *,
        content: FileContent | None = None,
        headers: Mapping[str, str] | None = None,
        with_key: bool = True,
    ) -> JsonReply:
        """Send once: JSON, or the content of a file. Raises RequestError."""
        data = None if body is None else orjson.dumps(body)
        size = content.size if content else len(data or b"")
        sent = {"accept": "application/json", "accept-encoding": "gzip", **(self.endpoint.headers if with_key else {})}
        if content or data is not None:
            sent |= {"content-type": "application/json", "content-length": str(size)}
        seconds = self.endpoint.timeout + size / SLOWEST_UPLOAD
        try:
            async with (
                asyncio.timeout(seconds),
                open_reply(
                    await self.endpoint.client(),
                    method,
                    url,
                    {**sent, **(headers or {})},
                    content=content.pieces() if content else data,
                ) as opened,
            ):
                reply = await _whole(opened)
        except TimeoutError as error:
            raise not_reached(self.endpoint, TransportError(TransportFault.TIMEOUT, f"no whole reply within {seconds:.0f} s")) from error
        except TransportError as error:
            raise not_reached(self.endpoint, error) from error
        document = self._document(reply)
        # From now on a name that does not exist is the network's fault, and no mistake of the job file.
        self.endpoint.proven = True
        return JsonReply(document, reply.headers)

    async def upload(self, url: str, lines: Iterable[object], tag: str) -> str:
        """Upload lines of JSON as a file of the purpose `batch`, and return its id.

        Where that fails it is done again: a file that nobody names is only a file.
        """
        async with written(orjson.dumps(line) + b"\n" for line in lines) as content:
            form, kind = content.as_form(name_with(tag), "batch")
            reply = await self.tried(partial(self.once, "POST", url, content=form, headers={"content-type": kind}))
        if (file := text_of(reply.document, "id")) is None:
            raise EndpointError(f"{self.endpoint.host} answers 200 to a file, but without its id")
        return file

    async def submit(self, url: str, body: object = None, *, content: FileContent | None = None) -> Any | Refusal | None:
        """Send once what must not be done twice: its JSON, why it was refused, or None where nobody knows whether it was taken.

        Raises AsyncrunError where it is the endpoint that refuses, or was not reached at all.
        """
        # On a kept connection the server may hang up unread, which looks like a reply that was lost.
        await (await self.endpoint.client()).renew()
        try:
            return (await self.once("POST", url, body, content=content)).document
        except RequestError as error:
            failure, words = error.verdict.failure, self.endpoint.shown(error.verdict.words)
            if isinstance(error.__cause__, TransportError) and error.__cause__.fault in _NOT_SENT:
                raise self._final(error) from error
            if failure is FailureClass.THROTTLE:
                return Refusal(words, full=True)
            if failure in (FailureClass.TRANSIENT, FailureClass.BAD_RESPONSE):
                return None
            absent = is_absent(error)
            if failure is FailureClass.QUOTA or (failure in (FailureClass.AUTH, FailureClass.CONFIG) and not absent):
                raise self._final(error) from error
            return Refusal(words, full=is_full(words), absent=absent)

    async def download(self, url: str) -> AsyncGenerator[bytes]:
        """Yield a file piece by piece. Where the connection breaks, it is asked for anew, and what has been yielded is passed over.

        Raises RequestError where there is no such file, otherwise what is about the endpoint.
        """
        tries, taken = _Tries(), 0
        while True:
            try:
                async with aclosing(self._opened(url)) as pieces:
                    at = 0
                    async for piece in pieces:
                        new = piece[max(taken - at, 0) :]
                        at += len(piece)
                        if new:
                            taken, tries = at, _Tries()
                            yield new
                return
            except RequestError as error:
                await self._back_off(error, tries)

    async def _repeated(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it succeeds. Raises RequestError where what was asked for is not there, otherwise what is about the endpoint."""
        tries = _Tries()
        while True:
            try:
                return await call()
            except RequestError as error:
                await self._back_off(error, tries)

    def _final(self, error: RequestError, attempts: int = 1) -> AsyncrunError:
        """Return the error of a run that a refusal amounts to, about which nothing can be done here."""
        about = error.about_endpoint(key_sent=bool(self.endpoint.headers), proven=False, attempts=attempts)
        if about is None and error.verdict.failure is FailureClass.THROTTLE:
            about = ThrottledError(str(error))
        return about or EndpointError(str(error))

    async def _opened(self, url: str, redirects: int = 0) -> AsyncGenerator[bytes]:
        # A file may be somewhere else (Gemini's are): the key goes there only if that is the provider, too.
        key = self.endpoint.headers if is_same_server(url, self.endpoint.url) else {}
        sent = {"accept": "*/*", "accept-encoding": "gzip", **key}
        silence = self.endpoint.timeout
        elsewhere = None
        try:
            async with open_reply(await self.endpoint.client(), "GET", url, sent, max_bytes=LARGEST_DOWNLOAD) as opened:
                if opened.status in (301, 302, 303, 307, 308) and redirects < MOST_REDIRECTS:
                    elsewhere = urljoin(url, opened.headers.get("location", ""))
                elif opened.status != 200:
                    self._document(await _whole(opened))
                while elsewhere is None:
                    async with asyncio.timeout(silence):
                        piece = await anext(opened.pieces, None)
                    if piece is None:
                        return
                    yield piece
        except TimeoutError as error:
            raise not_reached(self.endpoint, TransportError(TransportFault.TIMEOUT, f"nothing more came for {silence:g} s")) from error
        except TransportError as error:
            raise not_reached(self.endpoint, error) from error
        if elsewhere is not None:
            async with aclosing(self._opened(elsewhere, redirects + 1)) as pieces:
                async for piece in pieces:
                    yield piece

    def _document(self, reply: Reply) -> Any:
        """Return the JSON of a reply. Raises RequestError for a refusal; a batch that has failed has an `error` of its own."""
        if reply.status // 100 != 2:
            return read_reply(self.endpoint, reply).document
        if not reply.body.strip():
            return None
        try:
            document = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            document = None
        if isinstance(document, dict) and document.get("error") and document.keys() & {"id", "name"}:
            return document
        return read_reply(self.endpoint, replace(reply, status=200)).document

    async def _back_off(self, error: RequestError, tries: _Tries) -> None:
        """Wait before another try, or raise what ends them."""
        failure, endpoint = error.verdict.failure, self.endpoint
        throttled = failure is FailureClass.THROTTLE
        if throttled:
            tries.throttles += 1
        else:
            tries.failures += 1
        count = tries.throttles if throttled else tries.failures
        decision = decide(count, failure, error.hint, tries.waited, policy=endpoint.policy, rng=endpoint.rng)
        if isinstance(decision, Backoff):
            tries.waited += decision.seconds if throttled else 0.0
            await endpoint.clock.sleep(decision.seconds)
        elif throttled:
            raise ThrottledError(f"throttled, {decision.reason}: {error}") from error
        elif failure is FailureClass.TRANSIENT:
            raise OutageError(f"{error} ({counted(tries.failures, 'attempt')})") from error
        elif is_absent(error):
            raise error
        else:
            raise self._final(error, tries.failures) from error


def is_absent(error: RequestError) -> bool:
    """Tell whether a refusal says that what was asked for is not there: some vendors answer 400 or 403 for that."""
    return error.status in (404, 410) or (error.status in (400, 403) and _ABSENT.search(error.verdict.words) is not None)


def is_same_server(url: str, ours: str) -> bool:
    """Tell whether an address is of the server that is asked, by the same scheme.

    >>> is_same_server("https://host/download", "https://host/v1"), is_same_server("http://host/download", "https://host/v1")
    (True, False)
    """
    return urlsplit(url)[:2] == urlsplit(ours)[:2]


def is_full(words: str) -> bool:
    """Tell whether a refusal says that too much of ours is waiting already.

    >>> is_full("Enqueued token limit reached for gpt-4o. Limit: 90,000 enqueued tokens.")
    True
    """
    return _FULL.search(words) is not None


async def _whole(opened: OpenReply) -> Reply:
    body = bytearray()
    async for piece in opened.pieces:
        body += piece
        if len(body) > MAX_REPLY:
            raise TransportError(TransportFault.TOO_LARGE, f"the reply is larger than {MAX_REPLY} bytes")
    return Reply(opened.status, opened.headers, bytes(body))
