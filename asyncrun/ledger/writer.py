"""The ledger's writing thread: many callers, one transaction a time, so that one fsync serves all who wait."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asyncrun.errors import StorageError
from asyncrun.ledger.salvage import ask_to_mend
from asyncrun.ledger.schema import explained, open_connection

Write = Callable[[sqlite3.Connection], None]
MOST_WAITING = 256
"""How many writes may wait for the disk before callers wait too."""


@dataclass(frozen=True, slots=True)
class _Request:
    write: Write
    done: Callable[[BaseException | None], None]


class GroupWriter:
    """Runs writes on a thread of its own, in order; those that wait are committed together.

    Example:
        >>> import tempfile
        >>> async def main(folder: str) -> None:
        ...     writer = GroupWriter(Path(folder) / "ledger.db")
        ...     await writer.write(lambda connection: None)
        ...     writer.close()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(MOST_WAITING)
        self._thread: threading.Thread | None = None

    async def write(self, write: Write) -> None:
        """Return when `write` is committed. Raises StorageError; then nothing of it is stored."""
        async with self._room:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()

            def settle(error: BaseException | None) -> None:
                if future.cancelled():
                    return
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

            def done(error: BaseException | None) -> None:
                # A loop that is gone has nobody who waits.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(settle, error)

            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="asyncrun-ledger", daemon=True)
                self._thread.start()
            self._requests.put(_Request(write, done))
            await future

    def close(self) -> None:
        """Commit what waits and end the thread; may be called twice."""
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join()
            self._thread = None

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while (first := self._requests.get()) is not None:
                group, last = self._waiting(first)
                try:
                    if connection is None:
                        connection = open_connection(self._path)
                    self._commit(connection, group)
                except BaseException as error:  # whoever waits must hear of it, whatever it is
                    for request in group:
                        request.done(error)
                if last:
                    return
        finally:
            if connection is not None:
                connection.close()

    def _waiting(self, first: _Request) -> tuple[list[_Request], bool]:
        group = [first]
        with contextlib.suppress(queue.Empty):
            while True:
                request = self._requests.get_nowait()
                if request is None:
                    return group, True
                group.append(request)
        return group, False

    def _commit(self, connection: sqlite3.Connection, group: list[_Request]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for request in group:
                request.write(connection)
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                ask_to_mend(self._path)
                raise explained(error, self._path) from error
            raise StorageError(f"cannot write the ledger {self._path}: {error}") from error
        for request in group:
            request.done(None)
