"""The ledger's writing thread: many callers, one transaction a time, so that one fsync serves all who wait."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from asyncrun.errors import StorageError
from asyncrun.ledger.connection import explained, open_connection, removed
from asyncrun.ledger.repair import request_repair
from asyncrun.sqlite_files import is_busy, is_damage

T = TypeVar("T")

WriteRows = Callable[[sqlite3.Connection], None]
WriteAll = Callable[[sqlite3.Connection, Sequence[T]], None]
"""Writes things that came one after the other, in their order."""
MOST_WRITES_WAITING = 256
"""How many writes may wait for the disk before callers wait too."""
PAUSE = 8
"""How many times as long as a loop takes to hear of a commit the next commit waits for company: in a busy loop writes are many, and a
commit of its own for each costs more than a wait that nobody feels; an idle loop goes on at once."""
MOST_PAUSE = 0.02
"""Seconds that a commit waits at most, for the loop and for company each."""
ENOUGH = 16
"""Writes that go without more company."""


@dataclass(frozen=True, slots=True)
class _Request:
    write: WriteAll[Any]
    thing: Any
    done: asyncio.Future[None]


class GroupWriter:
    """Runs writes on a thread of its own, in order; those that wait are committed together, and the busier the loop, the more of them.

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
        self._room = asyncio.Semaphore(MOST_WRITES_WAITING)
        self._thread: threading.Thread | None = None
        self._heard = threading.Event()
        self._identity: tuple[int, int] | None = None

    def check_file(self) -> None:
        """Raise StorageError when the ledger's file is not the one any more that it was at the first look. Blocks.

        SQLite goes on in a file that was removed, and nobody would find there what it writes.
        """
        with contextlib.suppress(OSError):
            found = self._path.stat()
            if self._identity in (None, (found.st_dev, found.st_ino)):
                self._identity = found.st_dev, found.st_ino
                return
        raise removed(self._path)

    async def write(self, write: WriteRows) -> None:
        """Return when `write` is committed. Raises StorageError; then nothing of it is stored, or the file is gone."""
        await self.write_together(_each, write)

    async def write_together(self, write: WriteAll[T], thing: T) -> None:
        """Return when `write` is committed for a thing, in one call for all that come one after the other. Raises as `write` does."""
        async with self._room:
            if self._thread is None:
                thread = threading.Thread(target=self._serve, name="asyncrun-ledger", daemon=True)
                thread.start()  # which fails where the system gives no more threads
                self._thread = thread
            done = asyncio.get_running_loop().create_future()
            self._requests.put(_Request(write, thing, done))
            await done

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
                        self.check_file()
                    ended = self._commit(connection, group)
                    self.check_file()
                except BaseException as error:  # whoever waits must hear of it, whatever it is
                    ended = [(group, error)]
                for requests, failed in ended:
                    self._tell(requests, failed)
                if last:
                    return
                self._pause()
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

    def _commit(self, connection: sqlite3.Connection, group: list[_Request]) -> list[tuple[list[_Request], BaseException | None]]:
        """Commit writes together, each by itself where one of them is at fault; returns what has come of which."""
        try:
            self._transact(connection, group)
        except BaseException as error:
            if len(group) == 1 or _is_everybodys(error):
                return [(group, self._told(error))]
            return [ended for request in group for ended in self._commit(connection, [request])]
        return [(group, None)]

    def _transact(self, connection: sqlite3.Connection, group: list[_Request]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for write, requests in groupby(group, attrgetter("write")):
                write(connection, [request.thing for request in requests])
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _told(self, error: BaseException) -> BaseException:
        """Return what whoever waits hears of an error."""
        if is_damage(error):
            request_repair(self._path)
        if isinstance(error, sqlite3.OperationalError | OSError) and not is_busy(error):
            told: BaseException = StorageError(f"cannot write the ledger {self._path}: {error}")
        elif isinstance(error, sqlite3.DatabaseError):
            told = explained(error, self._path)
        else:
            return error
        told.__cause__ = error
        return told

    def _tell(self, group: list[_Request], error: BaseException | None) -> None:
        """Wake those who wait, a loop at a time: to wake it costs both threads a system call."""
        self._heard.clear()
        for loop, futures in groupby((request.done for request in group), asyncio.Future.get_loop):
            # A loop that is gone has nobody who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._settle, list(futures), error)

    def _settle(self, futures: list[asyncio.Future[None]], error: BaseException | None) -> None:
        self._heard.set()
        for future in futures:
            if future.cancelled():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def _pause(self) -> None:
        began = time.monotonic()
        self._heard.wait(MOST_PAUSE)
        if self._requests.qsize() < ENOUGH:
            time.sleep(min(PAUSE * (time.monotonic() - began), MOST_PAUSE))


def _is_everybodys(error: BaseException) -> bool:
    """Tell whether an error is the file's or the disk's, which each write would meet, and not that of one write."""
    return isinstance(error, sqlite3.OperationalError) or is_damage(error) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def _each(connection: sqlite3.Connection, writes: Sequence[WriteRows]) -> None:
    for write in writes:
        write(connection)
