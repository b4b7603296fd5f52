"""Rows read straight from the pages of a database that SQLite itself no longer reads.

After https://www.sqlite.org/fileformat2.html, sections 1.6 (pages) and 2.1 (records).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
