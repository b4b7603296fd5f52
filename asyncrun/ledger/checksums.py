"""Checksums of the ledger's rows: SQLite's own checks see no flipped bit in what a row says.

What a row says is bound together, with what it belongs to: a batch with its number and its space's fingerprint (the number that stands
for the space in the row may be damaged itself), an answer with its question's key.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any

TableRow = tuple[Any, ...]


def checksum(blob: bytes | memoryview, more: bytes = b"") -> bytes:
    """Return the 8 bytes that stand for a blob, and for what comes with it."""
    digest = hashlib.blake2b(blob, digest_size=8)
    digest.update(more)
    return digest.digest()


def keys_sum(batch: int, fingerprint: str, dimensions: int, keys: bytes, flags: bytes) -> bytes:
    """Return the checksum of what is read of a batch when the finished keys are; the vectors' is made from it."""
    return checksum(keys, flags + f"{batch} {dimensions} {fingerprint}".encode())


def vectors_sum(keys_sum: object, count: int, vectors: bytes | memoryview) -> bytes:
    """Return the checksum of a batch's vectors, given that of its keys."""
    return checksum(vectors, f"{keys_sum!r} {count}".encode())


def is_batch(fingerprint: str, row: TableRow) -> bool:
    """Tell whether a batch is as it was written: number, count, dimensions, keys with their checksum, vectors with theirs, flags."""
    batch, count, dimensions, keys, keys_told, vectors, vectors_told, flags = row
    if not isinstance(keys, bytes) or not isinstance(vectors, bytes) or not isinstance(flags, bytes):
        return False
    own = keys_sum(batch, fingerprint, dimensions, keys, flags)
    return (own, vectors_sum(own, count, vectors)) == (keys_told, vectors_told)


def answer_sum(number: int, key: bytes, answer: bytes) -> bytes:
    """Return the checksum of an answer; its key stands for its space as well."""
    return checksum(answer, key + f"{number}".encode())


def is_answer(number: int, key: object, answer: object, told: object) -> bool:
    """Tell whether an answer is as it was written."""
    return isinstance(key, bytes) and isinstance(answer, bytes) and answer_sum(number, key, answer) == told


def row_sum(*values: object) -> bytes:
    """Return the checksum of values of a small row."""
    return checksum(repr(values).encode("utf-8", "surrogatepass"))


def with_sum(*values: object) -> TableRow:
    """Return a row that ends with the checksum of its values."""
    return (*values, row_sum(*values))


def is_whole(row: TableRow) -> bool:
    """Tell whether a row ends with the checksum of its other values."""
    return bool(row[-1] == row_sum(*row[:-1]))


def whole_row(connection: sqlite3.Connection, table: str, key: str, value: object) -> TableRow | None:
    """Return a row without its checksum, None when there is none that is whole."""
    row = connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", (value,)).fetchone()
    return row[:-1] if row is not None and is_whole(row) else None


def lossy_text(data: bytes) -> str:
    """Return a text of the file, also where its bytes are damaged: the checksum of its row tells."""
    return data.decode("utf-8", "replace")


def add_functions(connection: sqlite3.Connection) -> None:
    """Have statements call the checksums by their names."""
    for function, count in ((checksum, 1), (keys_sum, 5), (vectors_sum, 3), (answer_sum, 3), (row_sum, -1)):
        connection.create_function(function.__name__, count, function, deterministic=True)
