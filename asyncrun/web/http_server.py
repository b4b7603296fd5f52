"""A small HTTP server for looking: h11 reads and writes the words, asyncio the sockets; slow and large requests are cut off."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import h11

from asyncrun.errors import UsageError
from asyncrun.web.messages import WebRequest, WebResponse, said

LARGEST_HEAD = 16_384
"""Bytes of a request, its headers included; it has no body."""
MOST_CONNECTIONS = 100
"""Open at once; a browser has six. Who comes after them is told to come again."""
PATIENCE = 15.0
"""Seconds that a request may take to arrive, and an open connection to send one."""
LONGEST_WRITE = 60.0
"""Seconds in which an answer must have been taken."""
_PIECE = 4096
"""Bytes that are read at once: so much more than LARGEST_HEAD may come in before it is noticed."""

Answer = Callable[[WebRequest], Awaitable[WebResponse]]


class HttpServer:
    """Answers requests at an address until it is closed."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> list[tuple[str, int]]:
        """Begin to listen, and return at which addresses and ports. Raises UsageError where that cannot be done."""
        try:
            self._server = await asyncio.start_server(self._accept, host, port, limit=LARGEST_HEAD)
        except socket.gaierror as error:
            raise UsageError(f"{host} is no address of this machine", hint="Choose another --host, such as 127.0.0.1.") from error
        except OSError as error:
            why = "another program does" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0).lower()
            raise UsageError(
                f"cannot listen at {host}, port {port}: {why}", hint="Choose another --port; --port 0 takes one that is free."
            ) from error
        return [listening.getsockname()[:2] for listening in self._server.sockets]

    def answer_with(self, answer: Answer) -> None:
        """Answer with what `answer` makes of a request; what it raises is a 500 without a word about why."""
        self._answer = answer

    async def close(self) -> None:
        """Stop listening and end all talks; may be called twice."""
        if self._server is not None:
            self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)
        try:
            while await self._take_turn(connection, reader, writer):
                connection.start_next_cycle()
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # Who asked has gone, or is too slow to be waited for.
        finally:
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _take_turn(self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether another may follow."""
        method = b"GET"
        try:
            async with asyncio.timeout(PATIENCE):
                request = await _next_request(connection, reader)
            if request is None:
                return False
            method = request.method
            crowded = len(self._talks) > MOST_CONNECTIONS
            response = said(503, "Too many connections.", retry_after="2") if crowded else await self._answer_to(request)
        except h11.RemoteProtocolError as error:
            response = said(error.error_status_hint, "This is no request that is answered here.")
        if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            closes = connection.their_state is not h11.DONE or response.status == 503
            writer.write(_words_of(connection, response, has_body=method != b"HEAD", closes=closes))
        async with asyncio.timeout(LONGEST_WRITE):
            await writer.drain()
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    async def _answer_to(self, request: h11.Request) -> WebResponse:
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
        asked = WebRequest(request.method.decode("ascii"), request.target.decode("ascii", "replace"), headers)
        try:
            return said(503, "Not yet.") if self._answer is None else await self._answer(asked)
        except Exception:  # whatever goes wrong with one request, the next ones are answered
            return said(500, "This cannot be shown.")


def _words_of(connection: h11.Connection, response: WebResponse, *, has_body: bool, closes: bool) -> bytes:
    """Return an answer as it is sent."""
    head = [(name.encode(), value.encode("latin-1", "replace")) for name, value in response.all_headers().items()]
    if closes:
        head.append((b"connection", b"close"))
    events: list[h11.Event] = [h11.Response(status_code=response.status, headers=head)]
    if has_body and response.body:
        events.append(h11.Data(data=response.body))
    return b"".join(connection.send(event) or b"" for event in (*events, h11.EndOfMessage()))


async def _next_request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """Return the next request, None at the end. Raises h11.RemoteProtocolError for one that is too large or has a body."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_PIECE))
        elif isinstance(event, h11.Request):
            if event.method not in (b"GET", b"HEAD"):
                return event  # What else it sends is not read.
            request = event
        elif isinstance(event, h11.Data):
            raise h11.RemoteProtocolError("a request for looking has no body", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage):
            return request
        else:
            return None
