"""Connections to a database: opened when they are needed, kept for the next use, and dropped when they have broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from asyncrun.errors import TryLaterError
from asyncrun.postgres_faults import DatabaseAddress, meaning, parse_address, reporting

if TYPE_CHECKING:
    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

PATIENCE = 4.0
"""Seconds that a server may take to be there; one that was killed recovers in about three."""
_PAUSE = 0.2
_CANCELLING = 1.0
"""Seconds that closing takes where another thread is in a method."""


class Connections:
    """The connections of one store. A pool of its own would say that none was free, and not why none could be made."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._lock = threading.Lock()

    @cached_property
    def address(self) -> DatabaseAddress:
        """Return where the database is: looked at when it is needed, because a job file is checked without its variables."""
        return parse_address(self._url)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection in a transaction that ends with the block. Raises what `reporting` makes of refusals."""
        with reporting(self.address), self._one() as connection, connection.transaction():
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """Give a connection whose statements are a transaction each."""
        with reporting(self.address), self._one() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections that nobody uses, and cancel what others wait for, such as a lock; the next use opens one."""
        until = time.monotonic() + _CANCELLING
        while True:
            with self._lock:
                idle, self._idle = self._idle, []
                busy = list(self._busy)
            for connection in idle:
                connection.close()
            if not busy or time.monotonic() > until:
                return
            for connection in busy:
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=_CANCELLING)
            time.sleep(_PAUSE / 4)

    @contextmanager
    def _one(self) -> Iterator[Connection]:
        connection = self._take()
        with self._lock:
            self._busy.add(connection)
        try:
            yield connection
        except BaseException:
            # Whatever state it is in: the next one is whole.
            connection.close()
            raise
        finally:
            with self._lock:
                self._busy.remove(connection)
                if not connection.closed:
                    self._idle.append(connection)

    def _take(self) -> Connection:
        """Return a connection that answers. Where the server takes no more of them, that is one which another thread has given back."""
        until = time.monotonic() + PATIENCE
        while True:
            with self._lock:
                kept = self._idle.pop() if self._idle else None
            if kept is not None:
                if _answers(kept):
                    return kept
                kept.close()
                continue
            try:
                # No prepared statements: poolers such as PgBouncer hand every transaction to another server process.
                return psycopg.connect(
                    self.address.url, autocommit=True, prepare_threshold=None, connect_timeout=5, application_name="asyncrun"
                )
            except psycopg.Error as error:
                if not isinstance(meaning(error, self.address), TryLaterError) or time.monotonic() > until:
                    raise
            time.sleep(_PAUSE)


def _answers(connection: Connection) -> bool:
    """Tell whether a connection that was kept is still one: the server may have been started again."""
    try:
        connection.execute("")
    except psycopg.Error:
        return False
    return True
