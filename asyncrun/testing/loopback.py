"""A server on loopback: connections and their tasks, from a loop or from a thread."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from asyncrun.short_help import ShortHelp

_TURNS_OF_AN_ACCEPTED = 5
"""Turns of the loop from the moment that a connection is accepted until its task has begun."""


class LoopbackServer(metaclass=ShortHelp):
    """Listens at a port, 0: at any free one; what is said on a connection a subclass knows.

    >>> class Silent(LoopbackServer):
    ...     async def converse(self, reader, writer): ...
    >>> with Silent().in_thread() as server:
    ...     server.origin.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.connections = 0
        self._tls = tls
        self._port = port
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[Any]] = set()

    @property
    def origin(self) -> str:
        """Return where it listens, as a browser says it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on a connection until it ends."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls, limit=2**20, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Serve from a thread with a loop of its own, for tests of the command line."""
        ready = threading.Event()
        stop: list[Callable[[], object]] = []

        async def serve() -> None:
            done, loop = asyncio.Event(), asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(done.set))
            try:
                async with self:
                    ready.set()
                    await done.wait()
            finally:
                ready.set()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="fake-server", daemon=True)
        thread.start()
        ready.wait()
        try:
            yield self
        finally:
            if thread.is_alive():
                stop[0]()
            thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (streams serve each connection in a task)
        self._serving.add(task)
        try:
            await self.converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            # Cancelled by closing the server: asyncio's streams take a cancelled task for a bug of their own, and print it.
            if self._server is None or self._server.is_serving():
                raise
        finally:
            writer.transport.abort()
            self._serving.discard(task)
