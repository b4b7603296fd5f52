"""How a reply is read that has begun: whole, or piece by piece while it comes, and never more of it than is allowed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import NamedTuple

from asyncrun.transport_faults import TransportError, TransportFault, transport_error

MAX_REPLY = 64 * 2**20
"""Bytes of a reply, decompressed: twice what 2,048 vectors of 3,072 numbers take in base64."""
LINGER = 1.0
"""Seconds that a stream is given to end after the last piece that counts: only then can its connection be kept."""
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, whatever its status; names of headers are in lower case, `body` is decompressed.

    Of one that was `streamed` the body has gone where it was asked for, piece by piece, and is empty here.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    streamed: bool = False


TakePiece = Callable[[bytes], bool]
"""Takes the next piece of a body, and tells whether it was the last that counts."""


@dataclass(frozen=True, slots=True)
class Streaming:
    """How a reply is read while it comes.

    Attributes:
        choose: Is told status and headers, and returns what takes the pieces of the body; None where a whole reply is wanted.
        max_silence: Most seconds between two pieces; None: as many as the total allows.
    """

    choose: Callable[[int, Mapping[str, str]], TakePiece | None]
    max_silence: float | None = None


class Incoming(NamedTuple):
    """A reply that has begun, names of headers in lower case, and how it is let go of; pieces of its body come as they were sent."""

    status: int
    headers: dict[str, str]
    raw: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[object]]


async def read_reply(incoming: Incoming, max_bytes: int, streaming: Streaming | None, limit: asyncio.Timeout) -> Reply:
    """Return the whole reply; of one that is streamed all is handed over, within the limit."""
    import aiohttp
    import httpx

    status, headers = incoming.status, incoming.headers
    take = None if streaming is None else streaming.choose(status, headers)
    if streaming is None or take is None:
        return Reply(status, headers, await _read(incoming, max_bytes))
    try:
        async with aclosing(pieces_of(incoming, max_bytes)) as pieces:
            await _hand_over(pieces, take, limit, streaming.max_silence)
    except (httpx.HTTPError, aiohttp.ClientError) as error:
        # Whatever the connection has come to: a part was handed over, and is not sent for again.
        raise transport_error(error) from error
    return Reply(status, headers, b"", streamed=True)


async def _hand_over(
    pieces: AsyncGenerator[bytes],
    take: TakePiece,
    limit: asyncio.Timeout,
    max_silence: float | None,
) -> None:
    """Hand over pieces until the last that counts, and wait a moment for the end behind it, with which nothing can be wrong any more."""
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(None) as silence:
            async for piece in pieces:
                if take(piece):
                    break
                silence.reschedule(None if max_silence is None else now() + max_silence)
    except TimeoutError as error:
        raise TransportError(TransportFault.TIMEOUT, f"nothing more came for {max_silence:g} s") from error
    limit.reschedule(None)
    with suppress(Exception):
        async with asyncio.timeout(LINGER):
            async for _ in pieces:
                pass


async def _read(incoming: Incoming, max_bytes: int) -> bytes:
    return b"".join([piece async for piece in pieces_of(incoming, max_bytes)])


async def pieces_of(incoming: Incoming, max_bytes: int) -> AsyncGenerator[bytes]:
    """Yield the body, decompressed here and not by the client: that inflates whatever it gets in one step, a bomb too."""
    import aiohttp
    import httpx

    told = incoming.headers.get("content-encoding", "identity").strip()
    encoding = told.lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise TransportError(TransportFault.ENCODING, f"the reply has the content encoding {told!r}, which was not asked for")
    inflater = None if encoding in ("identity", "") else zlib.decompressobj(_GZIP_OR_ZLIB)
    left = max_bytes
    try:
        async for chunk in incoming.raw:
            for part in (chunk,) if inflater is None else _inflated(inflater, chunk, left + 1):
                left -= len(part)
                if left < 0:
                    raise TransportError(TransportFault.TOO_LARGE, f"the reply is larger than {max_bytes} bytes")
                yield part
    except aiohttp.ClientError as error:
        raise httpx.NetworkError(str(error)) from error
    if inflater is not None and not inflater.eof:
        raise TransportError(TransportFault.RESET, "the compressed reply ends early")


def _inflated(inflater: zlib._Decompress, chunk: bytes, most: int) -> Iterator[bytes]:
    try:
        yield inflater.decompress(chunk, most)
    except zlib.error as error:
        raise TransportError(TransportFault.ENCODING, "the reply is not compressed as it says") from error
