"""Collections renamed and dropped: one transaction, which gives way to running searches instead of making later ones wait behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from asyncrun.errors import UsageError
from asyncrun.stores.pgvector.schema import CollectionTable, Tables, quoted, table_name, words_name

if TYPE_CHECKING:
    from asyncrun.stores.pgvector.connections import Connection, Connections

LOCK_MILLISECONDS = 200
"""How long a swap waits at a time: searches that come meanwhile wait as long."""
PATIENCE = 60.0
"""Seconds after which it is given up."""
_PAUSE = 0.1


def rename_collections(connections: Connections, tables: Tables, names: Mapping[str, str]) -> None:
    """Give collections other names; two may change names. Raises UsageError."""

    def rename(connection: Connection) -> None:
        rows = {name: tables.find(connection, name, lock=True) for name in sorted({*names, *names.values()})}
        for old, new in names.items():
            if rows[old] is None:
                raise UsageError(f"there is no collection {old!r} that could be renamed")
            if list(names.values()).count(new) > 1:
                raise UsageError(f"two collections cannot both become {new!r}")
            if new not in names and (rows[new] is not None or tables.exists(connection, table_name(new))):
                raise UsageError(f"the collection {old!r} cannot be renamed: there is already {new!r}")
        moved = {new: row for old, new in names.items() if (row := rows[old]) is not None}
        # By names that nobody has, because two may change theirs.
        for row in moved.values():
            _move(connection, tables, row.table_name, _passing(row))
            _record(connection, tables, row, "\x01" + _passing(row))
        for new, row in moved.items():
            _move(connection, tables, _passing(row), table_name(new))
            _record(connection, tables, row, new)

    _patiently(connections, rename)


def drop_collection(connections: Connections, tables: Tables, name: str) -> None:
    """Delete a collection with its tables; one that is not there is passed over."""

    def drop(connection: Connection) -> None:
        row = tables.find(connection, name, lock=True)
        if row is not None:
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(tables.words(row), tables.chunks(row)), ())
            connection.execute(sql.SQL("DELETE FROM {} WHERE number = %s").format(tables.collections), (row.number,))

    _patiently(connections, drop)


def _passing(row: CollectionTable) -> str:
    return f"asyncrun_moving_{row.number}"


def _move(connection: Connection, tables: Tables, old: str, new: str) -> None:
    for before, after in ((old, new), (words_name(old), words_name(new))):
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(tables.named(before), quoted(after)), ())


def _record(connection: Connection, tables: Tables, row: CollectionTable, name: str) -> None:
    query = sql.SQL("UPDATE {} SET name = %s, table_name = %s WHERE number = %s").format(tables.collections)
    connection.execute(query, (name, table_name(name), row.number))


def _patiently(connections: Connections, change: Callable[[Connection], None]) -> None:
    """Make a change in one transaction, again and again until no lock is in its way."""
    until = time.monotonic() + PATIENCE
    while True:
        with connections.alone() as connection:
            try:
                with connection.transaction():
                    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_MILLISECONDS))
                    change(connection)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                if time.monotonic() > until:
                    raise
            else:
                return
        time.sleep(_PAUSE)
