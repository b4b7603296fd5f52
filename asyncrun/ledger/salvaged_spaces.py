"""The spaces of a damaged ledger, and of which of them a batch is: its checksum fits one fingerprint, whatever number stands in its row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from asyncrun.ledger.key_index import KEY_BYTES
from asyncrun.ledger.reading import FLOAT_BYTES
from asyncrun.ledger.sums import Row, checksum, keys_sum, lossy_text, vectors_sum
from asyncrun.records import fingerprint_of

_COLUMNS = 3
_INDEXED = "SELECT id, fingerprint FROM spaces INDEXED BY sqlite_autoindex_spaces_1"
Pages = Callable[[], Iterable[Row]]
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

    def whole(self, row: Row) -> Row | None:
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
