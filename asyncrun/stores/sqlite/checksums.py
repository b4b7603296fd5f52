"""Checksums of the SQLite store: a CRC-32 of each row, and the sum of all rows of a collection, which no missing row leaves as it was.

A CRC-32 finds every single flipped bit, and all damage within 32 bits. `Sums` adds rows up in any order, so that a commit changes them by
what it puts in and takes out; each row is mixed with its number and its owner's, so that none can stand in another's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Bits = TypeVar("Bits", int, "NDArray[np.uint64]")
_ALL = (1 << 64) - 1


class MismatchError(Exception):
    """What was read is not what was written; the message says of what."""


@contextmanager
def garbled(what: str) -> Iterator[None]:
    """Raise MismatchError for values that are not of the type that was put in."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise MismatchError(f"{what} cannot be what was put in") from error


@dataclass(frozen=True, slots=True)
class Sums:
    """What rows add up to modulo 2^64: `documents`; `chunks`, by whom they belong to and their names; `vectors`."""

    documents: int
    chunks: int
    vectors: int

    def __add__(self, other: Sums) -> Sums:
        """Return the sums of both sets of rows."""
        return Sums((self.documents + other.documents) & _ALL, (self.chunks + other.chunks) & _ALL, (self.vectors + other.vectors) & _ALL)

    def __sub__(self, other: Sums) -> Sums:
        """Return the sums without those rows."""
        return Sums((self.documents - other.documents) & _ALL, (self.chunks - other.chunks) & _ALL, (self.vectors - other.vectors) & _ALL)

    @property
    def parts(self) -> tuple[int, int, int]:
        """Return the three sums."""
        return self.documents, self.chunks, self.vectors


NO_SUMS = Sums(0, 0, 0)


def mixed(first: Bits, *others: Bits) -> Bits:
    """Return 64 bits for a row: each value changes all of them (the finaliser of SplitMix64); values are from 0, or arrays."""
    word = _scattered(first)
    for other in others:
        word = _scattered(word ^ other)
    return word


def _scattered(word: Bits) -> Bits:
    # Arrays of 64 bits wrap by themselves, numbers do not.
    word = (word + 0x9E3779B97F4A7C15) & _ALL  # type: ignore[assignment]
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _ALL  # type: ignore[assignment]
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _ALL  # type: ignore[assignment]
    return word ^ (word >> 31)  # type: ignore[return-value]


def total(rows: NDArray[np.uint64]) -> int:
    """Return the sum of mixed rows modulo 2^64."""
    return int(rows.sum(dtype=rows.dtype))


def numbers(values: Sequence[int]) -> NDArray[np.uint64]:
    """Return row numbers as words to be mixed: those that damage made negative wrap."""
    import numpy as np

    return np.array(values, dtype=np.int64).view(np.uint64)


def row_crc(*values: object) -> int:
    """Return the checksum of a short row, the types of its values included."""
    return crc32(repr(values).encode())


def document_sum(number: object, collection: object, *texts: bytes) -> int:
    """Return the checksum of a document's own row: source, id, mark and metadata."""
    return crc32(b"\0".join(texts), crc32(f"{number} {collection}".encode()))


def name_sum(chunk_id: bytes, source: bytes) -> int:
    """Return the checksum of what orders chunks of equal scores."""
    return crc32(chunk_id + b"\0" + source)


def chunk_sum(place: str, *texts: bytes) -> int:
    """Return the checksum of what a hit says: `place` is the chunk's number, document, ordinal, start and end, separated by spaces."""
    return crc32(b"\0".join((place.encode(), *texts)))


def signed(word: int) -> int:
    """Return 64 bits as SQLite keeps them."""
    return word - (1 << 64) if word >> 63 else word
