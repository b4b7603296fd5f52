"""A server on loopback: its port, its connections and their tasks; and how it is had from synchronous code."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

ServerT = TypeVar("ServerT", bound="AbstractAsyncContextManager[object]")
Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Answers what comes on a connection until that ends."""
_TURNS_OF_AN_ACCEPTED = 5
"""Turns of the loop from the moment that a connection is accepted until its task has begun."""


class Listener:
    """Listens at a port, 0: at any free one, and has each connection answered in a task of its own."""

    def __init__(self, converse: Converse, tls: ssl.SSLContext | None, port: int) -> None:
        self._converse = converse
        self._tls = tls
        self._port = port
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[Any]] = set()

    @property
    def origin(self) -> str:
        """Return where it listens: scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Begin to listen. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls, limit=2**20, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """End all connections."""
        if self._server is None:
            return
        # A connection that is being accepted at this moment comes to be served first: asyncio would leave it open.
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening)
        for _ in range(_TURNS_OF_AN_ACCEPTED):
            await asyncio.sleep(0)
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (streams serve each connection in a task)
        self._serving.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            # Cancelled by closing the server: asyncio's streams take a cancelled task for a bug of their own, and print it.
            if self._server is None or self._server.is_serving():
                raise
        finally:
            writer.transport.abort()
            self._serving.discard(task)


@contextmanager
def in_thread(server: ServerT) -> Iterator[ServerT]:
    """Have a server open in a thread with a loop of its own. Raises RuntimeError where it cannot be opened."""
    ready = threading.Event()
    opened = threading.Event()
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(done.set))
        try:
            async with server:
                opened.set()
                ready.set()
                await done.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="fake-server", daemon=True)
    thread.start()
    ready.wait()
    if not opened.is_set():
        thread.join()
        raise RuntimeError("the server has not started")
    try:
        yield server
    finally:
        if thread.is_alive():
            stop[0]()
        thread.join()
