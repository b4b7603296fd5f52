"""The ledger's file in use: read by one connection, written by one thread; what does not fit its checksum is named and dropped."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from asyncrun.ledger.checksums import is_whole
from asyncrun.ledger.connection import explained, open_connection, open_sound
from asyncrun.ledger.group_writer import GroupWriter, Write
from asyncrun.ledger.salvage import ask_to_mend
from asyncrun.sqlite_wal import is_damage


class LedgerFile:
    """Reads and writes rows of the ledger at `path`. Reading methods block: call them in a worker thread.

    With `warn`, which may be called in any thread, a row that does not fit its checksum is named and removed, and a file that SQLite cannot
    read is mended at the next start; without, for those who only look, nothing is changed, and a file that a start would mend is refused.

    Raises StorageError and DamagedStateError.
    """

    def __init__(self, path: Path, warn: Callable[[str], object] | None = None) -> None:
        self._path = path
        self._warn = warn
        self._writer = GroupWriter(path)
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.RLock()

    @property
    def folder(self) -> Path:
        """Return the folder of the ledger's file."""
        return self._path.absolute().parent

    def read(self, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Blocks. For the other modules of this package."""
        with self._reading:
            return list(self._rows(statement, parameters))

    def whole_rows(self, table: str, where: str, parameters: tuple[object, ...], *, then: str) -> list[tuple[Any, ...]]:
        """Return whole rows, without the checksum that they end with; others are removed and named, with what comes of it. Blocks."""
        rows = self.read(f"SELECT * FROM {table} WHERE {where}", parameters)
        damaged = [row for row in rows if not is_whole(row)]
        for row in damaged:
            self.drop(f"DELETE FROM {table} WHERE sum IS ?", (row[-1],), f"a row of the ledger's {table}", then)
        return [row[:-1] for row in rows if row not in damaged]

    def drop(self, statement: str, parameters: tuple[object, ...], what: str, then: str) -> None:
        """Name what does not fit its checksum, and run the statement that drops it, unless one only looks. Blocks."""
        if self._warn is not None:
            self._warn(f"{what} does not fit its checksum: it is dropped, and {then}")
            self.read(statement, parameters)

    async def write(self, write: Write) -> None:
        """Return when `write` is committed. For the other modules of this package."""
        await self._writer.write(write)

    def close(self) -> None:
        """Commit what waits and close the file; may be called twice."""
        self._writer.close()
        with self._reading:
            if self._reader is not None:
                self._reader.close()
            self._reader = None

    def _rows(self, statement: str, parameters: tuple[object, ...]) -> Iterator[tuple[Any, ...]]:
        try:
            if self._reader is None:
                self._reader = open_sound(self._path) if self._warn is None else open_connection(self._path)
                self._writer.check_file()
            yield from self._reader.execute(statement, parameters)
        except sqlite3.DatabaseError as error:
            if self._warn is not None and is_damage(error):
                ask_to_mend(self._path)
            raise explained(error, self._path) from error
