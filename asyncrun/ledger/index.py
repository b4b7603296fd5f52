"""Which keys of a space are finished, held as sorted arrays: a million look-ups are one array operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY_BYTES = 16


def keys_array(keys: bytes | bytearray) -> NDArray[np.uint64]:
    """Return concatenated 16-byte keys as an array of shape (n, 2): high and low half."""
    return np.frombuffer(keys, dtype=">u8").reshape(-1, 2).astype(np.uint64)


class KeyIndex:
    """An immutable map from key to (batch, slot).

    It takes 40 bytes a key. Of a key that stands twice, the later position counts.

    Args:
        keys: shape (n, 2), from `keys_array`.
        batches: the batch of each key, shape (n,).
        slots: the key's position in its batch, shape (n,).
    """

    def __init__(self, keys: NDArray[np.uint64], batches: NDArray[np.int64], slots: NDArray[np.int32]) -> None:
        order = np.lexsort((np.arange(len(keys)), keys[:, 1], keys[:, 0]))
        keys = keys[order]
        last = np.ones(len(keys), dtype=bool)
        last[:-1] = (keys[1:] != keys[:-1]).any(axis=1)
        self._high, self._low = np.ascontiguousarray(keys[last, 0]), np.ascontiguousarray(keys[last, 1])
        self._batches, self._slots = batches[order][last], slots[order][last]

    def __len__(self) -> int:
        return len(self._high)

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the position of each key in this index, -1 where it is not finished; shape (n,)."""
        found = np.full(len(keys), -1, dtype=np.int64)
        if not len(self) or not len(keys):
            return found
        position = np.searchsorted(self._high, keys[:, 0])
        # Keys are uniform hashes: two that share the high 64 bits are next to each other, if there are any at all.
        open_rows = np.flatnonzero(position < len(self))
        while len(open_rows):
            here = position[open_rows]
            same_high = self._high[here] == keys[open_rows, 0]
            hit = same_high & (self._low[here] == keys[open_rows, 1])
            found[open_rows[hit]] = here[hit]
            open_rows = open_rows[same_high & ~hit]
            position[open_rows] += 1
            open_rows = open_rows[position[open_rows] < len(self)]
        return found

    def locate(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return batch and slot of positions that `find` returned."""
        return self._batches[positions], self._slots[positions]
