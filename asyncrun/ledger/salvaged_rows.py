"""What a damaged ledger still holds: rows read straight from its pages, its spaces, and of which of them a batch is.

Pages are read after https://www.sqlite.org/fileformat2.html, sections 1.6 (pages) and 2.1 (records). A batch is of the space whose
fingerprint its checksum fits, whatever number stands in its row.
"""

from __future__ import annotations

import mmap
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from asyncrun.ledger.checksums import TableRow, checksum, keys_sum, lossy_text, vectors_sum
from asyncrun.ledger.schema import FLOAT_BYTES
from asyncrun.records import KEY_BYTES, fingerprint_of

_LEAF = 0x0D
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


def rows_of_pages(path: Path, page_bytes: int) -> Iterator[tuple[Any, ...]]:
    """Yield every row of every page of a table with row ids: its id, then its columns, text as bytes; nonsense is passed over.

    Rows of all tables come mixed, also those that were deleted and not yet written over: whoever reads them tells them apart by what
    stands in them.
    """
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for start in range(0, len(data), page_bytes):
            head = start + (100 if start == 0 else 0)
            if data[head : head + 1] != bytes([_LEAF]):
                continue
            count = int.from_bytes(data[head + 3 : head + 5], "big")
            for place in range(head + 8, min(head + 8 + 2 * count, start + page_bytes), 2):
                try:
                    yield _row(data, start + int.from_bytes(data[place : place + 2], "big"), page_bytes)
                except (IndexError, ValueError):
                    continue


def _row(data: mmap.mmap, at: int, page_bytes: int) -> tuple[Any, ...]:
    size, at = _number(data, at)
    row_id, at = _number(data, at)
    return (row_id, *_columns(_payload(data, at, size, page_bytes)))


def _payload(data: mmap.mmap, at: int, size: int, page_bytes: int) -> bytes:
    if size > len(data):
        raise ValueError("it is longer than the file")
    most, least = page_bytes - 35, (page_bytes - 12) * 32 // 255 - 23
    if size <= most:
        return _taken(data, at, size)
    local = least + (size - least) % (page_bytes - 4)
    local = local if local <= most else least
    parts, left, at = [_taken(data, at, local)], size - local, at + local
    while left:
        page = int.from_bytes(_taken(data, at, 4), "big")
        if page == 0:
            raise ValueError("the chain of pages ends early")
        at = (page - 1) * page_bytes
        some = min(left, page_bytes - 4)
        parts.append(_taken(data, at + 4, some))
        left -= some
    return b"".join(parts)


def _columns(payload: bytes) -> Iterator[Any]:
    head, at = _number(payload, 0)
    body = head
    while at < head:
        kind, at = _number(payload, at)
        size = _INTEGER_BYTES[kind] if kind < 10 else (kind - 12) // 2
        part = _taken(payload, body, size)
        body += size
        yield part if kind >= 12 else None if kind == 0 else kind - 8 if kind in (8, 9) else int.from_bytes(part, "big", signed=True)


def _number(data: bytes | mmap.mmap, at: int) -> tuple[int, int]:
    """Return a number of 1 to 9 bytes, 7 bits in each but the ninth, and where it ends."""
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    return value << 8 | data[at + 8], at + 9


def _taken(data: bytes | mmap.mmap, at: int, size: int) -> bytes:
    part = data[at : at + size]
    if len(part) != size:
        raise ValueError("the file ends early")
    return part


_COLUMNS = 3
_INDEXED = "SELECT id, fingerprint FROM spaces INDEXED BY sqlite_autoindex_spaces_1"
Pages = Callable[[], Iterable[TableRow]]
"""Returns the rows of all pages of the file."""


class SalvagedSpaces:
    """What is known of spaces: their names from what describes them, their numbers from the batches that are proved to be theirs.

    Args:
        spaces: numbers, fingerprints and descriptions as they are read, damaged or not.
        indexed: fingerprints as an index has them.
    """

    def __init__(self, spaces: Iterable[tuple[int, str, str]], indexed: Iterable[tuple[int, str]]) -> None:
        self._indexed = {fingerprint: number for number, fingerprint in indexed}
        self._descriptions: dict[str, str] = dict.fromkeys(self._indexed, "")
        self._listed: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._whole: set[str] = set()
        for number, fingerprint, description in spaces:
            described = fingerprint_of(description)
            self._listed.setdefault(number, described if description and fingerprint not in self._indexed else fingerprint)
            self._descriptions.setdefault(fingerprint, "")
            if description:
                self._descriptions[described] = description
            if described == fingerprint:
                self._whole.add(fingerprint)
        for name, number in self._indexed.items():
            self._listed.setdefault(number, name)

    def whole(self, row: TableRow) -> TableRow | None:
        """Return a row of `batches` as it was written, None when it is damaged. One of an older version gets the checksums of this one."""
        with suppress(TypeError, ValueError):
            batch, space, count, dimensions, keys, told, vectors, vectors_told, flags = row
            if (len(keys), len(vectors), len(flags)) != (count * KEY_BYTES, count * dimensions * FLOAT_BYTES, count):
                return None
            listed = self._listed.get(space)
            older = (checksum(keys), checksum(vectors)) == (told, vectors_told)
            for name in self._descriptions if not older else [listed] if listed is not None else []:
                own = keys_sum(batch, name, dimensions, keys, flags)
                vectors_own = vectors_sum(own, count, vectors)
                if older or (own, vectors_own) == (told, vectors_told):
                    return (batch, self._number(name, space), count, dimensions, keys, own, vectors, vectors_own, flags)
        return None

    def rows(self) -> Iterator[tuple[int, str, str]]:
        """Yield the rows of `spaces`: those that have batches, and those whose description fits the fingerprint."""
        for name, description in self._descriptions.items():
            if name in self._numbers or name in self._whole:
                number = next((number for number, listed in self._listed.items() if listed == name), 0)
                yield self._number(name, number), name, description

    def _number(self, name: str, wished: int) -> int:
        """Return the number of a space, the wished one if no other space has it."""
        if name not in self._numbers:
            taken = set(self._numbers.values()) | {number for number, listed in self._listed.items() if listed != name}
            free = wished > 0 and wished not in taken
            self._numbers[name] = wished if free else max(taken, default=0) + 1
        return self._numbers[name]


def find_spaces(source: sqlite3.Connection, pages: Pages) -> SalvagedSpaces:
    """Return the spaces of a damaged ledger. Blocks."""
    found = (
        (row[0], lossy_text(row[2]), lossy_text(row[3]))
        for row in pages()
        if len(row) == _COLUMNS + 1 and isinstance(row[2], bytes) and isinstance(row[3], bytes)
    )
    rows = chain(until_damage(source, "SELECT id, fingerprint, description FROM spaces NOT INDEXED"), found)
    spaces = [row for row in rows if list(map(type, row)) == [int, str, str]]
    return SalvagedSpaces(spaces, [row for row in until_damage(source, _INDEXED) if list(map(type, row)) == [int, str]])


def until_damage(source: sqlite3.Connection, statement: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement as far as SQLite can read them."""
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        yield from source.execute(statement)
