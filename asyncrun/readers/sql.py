"""Rows of a query as records: on an SQLite file that is only read, or on PostgreSQL in a transaction that only reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from asyncrun.errors import MissingExtraError, StorageError, UsageError
from asyncrun.escape import printable
from asyncrun.readers.loaded_records import LoadedRecords

if TYPE_CHECKING:
    from asyncrun.postgres_faults import DatabaseAddress

QUERY = "query"
"""What stands for a file in the places of rows: `query#7` is the seventh."""
_ROWS_AT_ONCE = 1_000
_CURSOR = "asyncrun"
_OF_THE_QUERY = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_AUTH)
_CORRECT = "Correct `sql` of the input."


class SqliteRows(LoadedRecords):
    """The rows of a query on an SQLite file, which is opened for reading only.

    Raises UsageError for a query that cannot be carried out, StorageError for a file that cannot be read.
    """

    def __init__(self, path: Path, sql: str) -> None:
        super().__init__(QUERY)
        self._path, self._sql = path, sql

    def _lines(self) -> Iterator[bytes]:
        shown = printable(str(self._path))
        try:
            with closing(sqlite3.connect(f"file:{quote(str(self._path.absolute()))}?mode=ro", uri=True)) as connection:
                # What is no UTF-8 is one bad record.
                connection.text_factory = lambda data: data.decode(errors="surrogateescape")
                # It would make a file that is not there, and this connection's mode does not hold for it.
                connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK)
                rows = connection.execute(self._sql)
                names = _names([column[0] for column in rows.description or ()])
                for row in rows:
                    yield line_of(names, row)
        except sqlite3.DatabaseError as error:
            # What the library refuses by itself, such as a second statement, has no code.
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _OF_THE_QUERY:
                raise StorageError(f"cannot read {shown}: {error}", hint="Correct `path` of the input, or mend the file.") from error
            raise UsageError(f"sql: {error} (SQLite file {shown})", hint=_CORRECT) from error
        except sqlite3.Error as error:
            raise UsageError(f"sql: {error}", hint=_CORRECT) from error


class PostgresRows(LoadedRecords):
    """The rows of a query on a PostgreSQL database, all from one state of it.

    Raises UsageError for an address or a query that cannot be used, TryLaterError for a server that is away, AuthError for a wrong
    password, StorageError for what it refuses, MissingExtraError without psycopg.
    """

    def __init__(self, url: str, sql: str) -> None:
        super().__init__(QUERY)
        self._url, self._sql = url, sql

    def _lines(self) -> Iterator[bytes]:
        try:
            import psycopg

            from asyncrun.postgres_faults import parse_address, reporting
        except ImportError as error:
            raise MissingExtraError("a query on PostgreSQL needs psycopg", hint="Install it: pip install 'asyncrun[pgvector]'.") from error
        address = parse_address(self._url)
        with reporting(address), psycopg.connect(address.url, connect_timeout=5, application_name="asyncrun") as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            try:
                with connection.cursor(_CURSOR) as cursor:
                    cursor.itersize = _ROWS_AT_ONCE
                    cursor.execute(self._sql)
                    names = _names([column.name for column in cursor.description or ()])
                    for row in cursor:
                        yield line_of(names, row)
            except (psycopg.ProgrammingError, psycopg.DataError) as error:
                raise _wrong_query(error, address) from None


def _wrong_query(error: Any, address: DatabaseAddress) -> UsageError:
    """Return the error of a query that PostgreSQL does not understand, with the place in it."""
    said = address.clean(error.diag.message_primary or error)
    position = int(error.diag.statement_position or 0) - len(f'DECLARE "{_CURSOR}" CURSOR FOR ')
    return UsageError(f"sql{f', character {position}' if position > 0 else ''}: {said} ({address.shown})", hint=_CORRECT)


def line_of(names: Sequence[str], row: Sequence[Any]) -> bytes:
    """Return a row as a record: dates in ISO 8601, and what has no JSON form (exact decimals, ranges) as the text of it.

    >>> from decimal import Decimal
    >>> line_of(["n", "price"], (1, Decimal("1.50")))
    b'[{"n":1,"price":"1.50"},null]'
    """
    fields = dict(zip(names, row, strict=True))
    try:
        return orjson.dumps((fields, None), default=_plain)
    except orjson.JSONEncodeError as error:
        reason = "bad_text" if "surrogate" in str(error) or "UTF-8" in str(error) else "bad_record"
        return orjson.dumps(({}, (reason, f"not JSON: {error}")))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        data = bytes(value)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "\\x" + data.hex()
    return list(value) if isinstance(value, set | frozenset) else str(value)


def _names(columns: Sequence[str]) -> Sequence[str]:
    if not columns:
        raise UsageError("sql: the query returns no rows", hint=_CORRECT)
    twice = next((name for at, name in enumerate(columns) if name in columns[:at]), None)
    if twice is not None:
        raise UsageError(f"sql: the column {twice!r} is there twice", hint="Give one of the two another name with AS.")
    return columns
