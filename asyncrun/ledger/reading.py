"""The keys of a space's batches, read without trusting an index, each with whether it is as it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from asyncrun.ledger.key_index import KEY_BYTES
from asyncrun.ledger.sums import Row, keys_sum

FLOAT_BYTES = 4
Rows = Callable[[str, tuple[object, ...]], Iterable[tuple[Any, ...]]]
"""Returns the rows of a statement, given with its parameters."""
_KEYS = (
    "SELECT id, dimensions, keys, keys_sum, length(vectors) FROM batches NOT INDEXED"
    " WHERE space IN (SELECT id FROM spaces NOT INDEXED WHERE fingerprint = ?) AND id > ? AND id <= ? ORDER BY id"
)


class BatchKeys(NamedTuple):
    """What is known of a batch without its vectors: `length` of them, in `size` bytes; an empty one was dropped.

    A tuple: it is made for every batch, and a frozen dataclass takes several times as long.
    """

    batch: int
    length: int
    dimensions: int
    keys: bytes
    flags: bytes
    size: int
    whole: bool


def read_keys(rows: Rows, fingerprint: str, since: int, newest: int) -> Iterator[BatchKeys]:
    """Yield the batches of a space with numbers after `since` up to `newest`, in their order. Blocks."""
    flagged: dict[int, Any] = dict(rows("SELECT batch, flags FROM flagged", ()))
    for row in rows(_KEYS, (fingerprint, since, newest)):
        batch, dimensions, keys, _, size = row
        count = len(keys) // KEY_BYTES if isinstance(keys, bytes) else 0
        flags = flagged.get(batch) or bytes(count)
        fits = _fits(row, fingerprint, flags)
        if not fits:
            # What stands in `flagged` is a copy: the batch has its flags behind the vectors, where reading them takes longer.
            [(flags,)] = list(rows("SELECT flags FROM batches WHERE id = ?", (batch,))) or [(b"",)]
            fits = _fits(row, fingerprint, flags)
        yield BatchKeys(batch, count, dimensions, keys, flags, size, fits and size == count * dimensions * FLOAT_BYTES)


def _fits(row: Row, fingerprint: str, flags: object) -> bool:
    batch, dimensions, keys, told, _ = row
    return isinstance(keys, bytes) and isinstance(flags, bytes) and told == keys_sum(batch, fingerprint, dimensions, keys, flags)
