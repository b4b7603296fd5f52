"""The one place that builds an HTTP client, and what sends with it: whole bodies, and those that do not fit in memory."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, aclosing, asynccontextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from asyncrun.errors import ArgumentError, os_words
from asyncrun.http_replies import MAX_REPLY, Incoming, Reply, Streaming, pieces_of, read_reply
from asyncrun.transport_faults import CONNECT_TIMEOUT, TransportError, TransportFault, found_closed, transport_error

if TYPE_CHECKING:
    import httpx

KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: less than the 5 s of uvicorn and node, so that we are not the last to know."""
BODY_SLICE = 2**20
"""A larger body goes out in parts of so many bytes, so that the loop is not held up while it is copied."""
REPLY_PIECE = 2**18
"""Bytes of a reply that are taken over at a time, as many as asyncio reads at most."""


Content = AsyncIterator[bytes] | bytes | None
"""A body that is sent."""


Connecting = Callable[[], AbstractContextManager[object]]
"""Opens what is open while a connection is being made: it may measure, or tell."""
_making: ContextVar[tuple[ExitStack, Connecting] | None] = ContextVar("asyncrun_connecting", default=None)
"""Of the request that is under way. The transport hands nothing of ours on to the one place that knows when a connection is made."""


@dataclass(slots=True, eq=False)
class _Pool:
    """Connections that are kept together, how many requests are on them, and whether no more may come."""

    http: _Beginning
    users: int = 0
    retired: bool = False

    async def close_if_idle(self) -> None:
        if self.retired and not self.users:
            await self.http.aclose()


class _Beginning(Protocol):
    """httpx's client over one of our transports, which begins requests without the layers of httpx that nothing here asks for."""

    def begin(self, method: str, url: str, headers: Mapping[str, str], content: Content) -> Awaitable[Incoming]: ...

    async def aclose(self) -> None: ...


@dataclass(slots=True, eq=False)
class Client:
    """Connections of one event loop, kept from request to request; `replies` counts the whole replies so far."""

    open_http: Callable[[], _Beginning]
    replies: int = 0
    _pool: _Pool = field(init=False)

    def __post_init__(self) -> None:
        self._pool = _Pool(self.open_http())

    @asynccontextmanager
    async def connections(self) -> AsyncIterator[_Beginning]:
        """Lend the connections for one request. Where it finds one closed, the others are as old: all are left behind."""
        pool = self._pool
        pool.users += 1
        try:
            yield pool.http
        except Exception as error:
            if pool is self._pool and found_closed(error):
                await self.renew()
            raise
        finally:
            pool.users -= 1
            if pool.retired:
                await pool.close_if_idle()

    async def renew(self) -> None:
        """Leave all connections behind: the idle ones are closed now, each other one when the requests that are under way have ended."""
        former, self._pool = self._pool, _Pool(self.open_http())
        former.retired = True
        await former.close_if_idle()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.http.aclose()


def build_client(concurrency: int, *, http2: bool = False) -> Client:
    """Return a client for that many requests at once; it belongs to the running event loop.

    `http2` speaks HTTP/2 where the server agrees to it over TLS, all requests on one connection, with httpx's own transport: it takes more
    of the processor than aiohttp's, which knows HTTP/1.1 alone. It needs the package h2.

    Proxies and CA bundles come from the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE). Redirects are not followed: on the way to
    another host only the header Authorization would be left behind, other keys and the texts would go along. Waiting for a connection
    has no timeout of its own, since a permit stands for one.

    Raises ArgumentError where the CA bundle of the environment cannot be read.
    """
    import httpx

    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency, keepalive_expiry=KEEP_ALIVE)
    timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
    # Read once: the CA bundle takes a tenth of a second.
    try:
        verify = httpx.create_ssl_context()
    except OSError as error:
        why = "there is none in it" if isinstance(error, ssl.SSLError) else os_words(error)
        raise ArgumentError(f"no certificates can be read from SSL_CERT_FILE: {why}", hint="Correct or unset SSL_CERT_FILE.") from error
    open_http = _client_over(_http2_transport() if http2 else _aiohttp_transport())
    return Client(partial(open_http, http2=http2, follow_redirects=False, timeout=timeout, limits=limits, verify=verify))


def _client_over(make: Callable[..., Any]) -> Callable[..., _Beginning]:
    """Return httpx's client over the transport that is made so: it knows the proxies and the bundle of certificates of the environment."""
    import httpx

    @lru_cache(maxsize=64)
    def parsed(url: str) -> tuple[httpx.URL, str]:
        address = httpx.URL(url)
        if address.is_relative_url:
            raise httpx.UnsupportedProtocol("the address has no host")
        return address, str(address)

    class ClientOverTransport(httpx.AsyncClient):
        # What httpx's own client makes, proxies of the environment included; httpx-aiohttp puts its transport there in the same way.
        def _init_transport(self, *_: Any, **options: Any) -> httpx.AsyncBaseTransport:
            options.pop("transport", None)
            return cast("httpx.AsyncBaseTransport", make(timeout=self.timeout, **options))

        def _init_proxy_transport(self, proxy: httpx.Proxy, *_: Any, **options: Any) -> httpx.AsyncBaseTransport:
            return cast("httpx.AsyncBaseTransport", make(proxy=proxy, timeout=self.timeout, **options))

        @cached_property
        def _own_headers(self) -> list[tuple[str, str]]:
            return list(self.headers.items())

        # Its own requests and replies, which merge, authenticate, follow and call hooks, take more of the processor than the network does.
        def begin(self, method: str, url: str, headers: Mapping[str, str], content: Content) -> Awaitable[Incoming]:
            if self.is_closed:
                raise RuntimeError("the client is closed")
            names = {name.lower() for name in headers}
            sent = {**{name: value for name, value in self._own_headers if name not in names}, **headers}
            address, written = parsed(url)
            transport: Any = self._transport_for_url(address)
            began: Awaitable[Incoming] = transport.begin(method, written, sent, content)
            return began

    return ClientOverTransport


def _proxy_headers(proxy: httpx.Proxy) -> Mapping[str, str]:
    """Return what a proxy is told; aiohttp makes of `Authorization` what it is for a proxy, inside a tunnel and without one."""
    if proxy.auth is None:
        return proxy.headers
    return {**proxy.headers, "Authorization": "Basic " + b64encode(":".join(proxy.auth).encode()).decode()}


def _aiohttp_transport() -> Callable[..., object]:
    """Return the transport over aiohttp, which says when it makes a connection."""
    import aiohttp
    import httpx
    from httpx_aiohttp import AiohttpTransport

    # Asked once a connection: aiohttp's own way to watch is told of every part of every request.
    class WatchedConnector(aiohttp.TCPConnector):
        async def _create_connection(self, *asked: Any) -> Any:
            await _connection_begun()
            made = await super()._create_connection(*asked)
            await _connection_made()
            return made

    class WatchedTransport(AiohttpTransport):
        def __init__(self, *, timeout: httpx.Timeout, **options: Any) -> None:
            super().__init__(**options)
            proxy = self.proxy
            self._options: dict[str, Any] = {
                "allow_redirects": False,
                "auto_decompress": False,
                "compress": False,
                "timeout": aiohttp.ClientTimeout(sock_connect=timeout.connect),
                "proxy": str(proxy.url) if proxy else None,
                "proxy_headers": _proxy_headers(proxy) if proxy else None,
            }

        def get_client(self) -> aiohttp.ClientSession:
            most, kept = self.limits.max_connections, self.limits.keepalive_expiry
            connector = WatchedConnector(limit=most or 0, keepalive_timeout=kept, ssl=self.ssl_context)
            return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True))

        async def begin(self, method: str, url: str, headers: Mapping[str, str], content: Content) -> Incoming:
            if self.client is None:
                self.client = self.get_client()
            session: Any = self.client
            try:
                got = await session.request(method, url, headers=headers, data=content, **self._options)
            except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
                raise httpx.UnsupportedProtocol(str(error)) from error
            except aiohttp.ClientError as error:
                raise httpx.NetworkError(str(error)) from error
            said: dict[str, str] = {}
            for name, value in got.raw_headers:
                key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
                said[key] = f"{said[key]}, {text}" if key in said else text
            return Incoming(got.status, said, got.content.iter_chunked(REPLY_PIECE), partial(got.__aexit__, None, None, None))

    return WatchedTransport


def _http2_transport() -> Callable[..., object]:
    """Return httpx's own transport, which says when it makes a connection."""
    import httpx

    class WatchedTransport(httpx.AsyncHTTPTransport):
        def __init__(self, *, timeout: httpx.Timeout, **options: Any) -> None:
            super().__init__(**options)
            self._extensions = {"timeout": timeout.as_dict(), "trace": _step}
            self._cookies = httpx.Cookies()

        async def begin(self, method: str, url: str, headers: Mapping[str, str], content: Content) -> Incoming:
            request = httpx.Request(method, url, headers=headers, cookies=self._cookies, content=content, extensions=dict(self._extensions))
            got = await self.handle_async_request(request)
            got.request = request
            if "set-cookie" in got.headers:
                self._cookies.extract_cookies(got)
            return Incoming(got.status_code, dict(got.headers.items()), got.aiter_raw(), got.aclose)

    return WatchedTransport


async def _step(name: str, _: object) -> None:
    if name == "connection.connect_tcp.started":
        await _connection_begun()
    elif name.startswith(("http2.send_request_headers", "http11.send_request_headers")):
        await _connection_made()


async def _connection_begun(*_: object) -> None:
    if (making := _making.get()) is not None:
        stack, connecting = making
        stack.enter_context(connecting())


async def _connection_made(*_: object) -> None:
    if (making := _making.get()) is not None:
        making[0].close()


async def send(
    client: Client,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    timeout: float,  # noqa: ASYNC109 (the total of one attempt is part of what the function promises)
    max_bytes: int = MAX_REPLY,
    connecting: Connecting = nullcontext,
    streaming: Streaming | None = None,
) -> Reply:
    """Send a body (POST), or ask (GET) without one, and return the whole reply, whatever its status.

    Args:
        client: From `build_client`.
        url: Without keys.
        body: JSON, where the headers do not say otherwise.
        headers: Keys belong here.
        timeout: Seconds from the start to the last byte. The client's own timeouts begin anew with every byte, so that a server which
            sends one byte a second would hold a request for ever.
        max_bytes: Reading stops when the reply, decompressed, is larger.
        connecting: Opens what is open while a connection is being made; where one is kept from before, it is not called.
        streaming: Who takes the body while it comes. What it raises ends the exchange, and comes out unchanged.

    Raises TransportError.
    """
    import aiohttp
    import httpx

    # A server that compresses may keep words back until there are more of them.
    wanted = ("application/json", "gzip") if streaming is None else ("text/event-stream, application/json", "identity")
    method, sent = "GET", {"accept": wanted[0], "accept-encoding": wanted[1], **headers}
    if body is not None:
        method, sent = "POST", {"content-type": "application/json", **sent, "content-length": str(len(body))}
    try:
        with ExitStack() as making:
            _making.set((making, connecting))
            async with asyncio.timeout(timeout) as limit:
                for last in (False, True):
                    content = body if body is None or len(body) <= BODY_SLICE else _slices(body)
                    try:
                        async with client.connections() as http, aclosing(await http.begin(method, url, sent, content)) as got:
                            reply = await read_reply(got, max_bytes, streaming, limit)
                        break
                    except (httpx.HTTPError, aiohttp.ClientError) as error:
                        if last or not (client.replies and found_closed(error)):
                            raise
    except TimeoutError as error:
        raise TransportError(TransportFault.TIMEOUT, f"no whole reply within {timeout:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, ValueError) as error:
        raise transport_error(error) from error
    client.replies += 1
    return reply


@dataclass(frozen=True, slots=True)
class OpenReply:
    """A reply of which the body is still coming, decompressed, piece by piece; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncGenerator[bytes]


@asynccontextmanager
async def open_reply(
    client: Client,
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    content: AsyncIterator[bytes] | bytes | None = None,
    max_bytes: int = MAX_REPLY,
) -> AsyncIterator[OpenReply]:
    """Send once, with a body that need not be in memory, and lend the reply while it comes; `send` is for what fits in both ways.

    How long that may take is the business of whoever waits: TimeoutError goes through. Raises TransportError.
    """
    import aiohttp
    import httpx

    try:
        async with (
            client.connections() as http,
            aclosing(await http.begin(method, url, headers, content)) as got,
            aclosing(pieces_of(got, max_bytes)) as pieces,
        ):
            yield OpenReply(got.status, got.headers, pieces)
    except TimeoutError:
        raise
    except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, ValueError) as error:
        raise transport_error(error) from error


async def _slices(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), BODY_SLICE):
        yield body[start : start + BODY_SLICE]
