"""Why no whole reply came back, out of the exceptions of the HTTP libraries."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from enum import StrEnum

CONNECT_TIMEOUT = 10.0


class TransportFault(StrEnum):
    """Why there is no whole reply."""

    REFUSED = "refused"
    DNS = "dns"
    DNS_AGAIN = "dns_again"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    ADDRESS = "address"


class TransportError(Exception):
    """No whole reply came back; `fault` says at which step. The message holds no header and no URL."""

    def __init__(self, fault: TransportFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def found_closed(error: Exception) -> bool:
    """Say whether a kept connection turned out to be closed: nothing was answered, and a new connection is not to blame for it."""
    import aiohttp
    import httpx

    # Of httpx's own transport: the server has hung up, or said GOAWAY.
    if isinstance(error, httpx.RemoteProtocolError):
        return "disconnected" in str(error) or "ConnectionTerminated" in str(error)
    closed = aiohttp.ServerDisconnectedError | aiohttp.ClientConnectionResetError | aiohttp.ClientOSError
    return isinstance(error.__cause__, closed) and not isinstance(error.__cause__, aiohttp.ClientConnectorError)


def transport_error(error: BaseException) -> TransportError:
    """Say what went wrong, by the deepest cause that tells."""
    import aiohttp
    import httpx

    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            again = cause.errno == socket.EAI_AGAIN
            return TransportError(
                TransportFault.DNS_AGAIN if again else TransportFault.DNS, f"the host name cannot be resolved: {cause.strerror or cause}"
            )
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TransportError(TransportFault.TLS, f"the certificate is refused: {cause.verify_message or cause.reason}")
        if isinstance(cause, ssl.SSLError):
            return TransportError(TransportFault.TLS, f"no encrypted connection: {cause.reason or cause}")
        if isinstance(cause, ConnectionRefusedError):
            return TransportError(TransportFault.REFUSED, "the connection is refused")
        if isinstance(cause, aiohttp.ConnectionTimeoutError):
            return TransportError(TransportFault.REFUSED, f"no connection within {CONNECT_TIMEOUT:g} s")
        if isinstance(cause, aiohttp.ClientHttpProxyError | httpx.ProxyError):
            said = f"{cause.status} {cause.message}" if isinstance(cause, aiohttp.ClientHttpProxyError) else cause
            return TransportError(TransportFault.REFUSED, f"the proxy opens no tunnel: {said}")
        if isinstance(cause, aiohttp.ClientConnectorError):
            return TransportError(TransportFault.REFUSED, f"no connection: {cause.strerror or type(cause).__name__}")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | aiohttp.InvalidURL | ValueError):
        return TransportError(TransportFault.ADDRESS, "the address is not one that can be posted to")
    if isinstance(error, httpx.ConnectTimeout) and not isinstance(error.__cause__, aiohttp.ClientError):
        return TransportError(TransportFault.REFUSED, f"no connection within {CONNECT_TIMEOUT:g} s")
    if isinstance(error, httpx.ConnectError):
        return TransportError(TransportFault.REFUSED, f"no connection: {_last_words(error)}")
    return TransportError(TransportFault.RESET, f"the connection ended before the whole reply was there ({_last_words(error)})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    chain = []
    while seen is not None and seen not in chain:
        chain.append(seen)
        # aiohttp keeps the system's own error beside, not in the chain.
        inner = getattr(seen, "os_error", None) or getattr(seen, "certificate_error", None)
        seen = seen.__cause__ or inner or seen.__context__
    yield from reversed(chain)


def _last_words(error: BaseException) -> str:
    return type(error.__cause__ or error).__name__
