"""What is to be put into batches now: neither in one already, nor refused there, nor put there too often. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.ledger.provider_batches import BatchRecord
from asyncrun.records import EmbedFailure

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BATCHES = 3
"""A request that was left undone by so many batches is sent online: nothing goes round for ever."""


class PendingKeys:
    """The keys of what is not finished, in their order; of one that comes twice, one stands for both."""

    def __init__(self, keys: bytes) -> None:
        array = keys_array(keys)
        self._index = KeyIndex(array, np.arange(len(array), dtype=np.int64))
        self.once = np.zeros(len(array), dtype=np.bool_)
        self.once[self._index.locate(np.arange(len(self._index), dtype=np.int64))[0]] = True

    def mask(self, keys: bytes) -> NDArray[np.bool_]:
        """Return where the keys of a batch are among these."""
        found = np.zeros(len(self.once), dtype=np.bool_)
        found[self.places(keys)] = True
        return found

    def places(self, keys: bytes) -> NDArray[np.int64]:
        """Return the places of those keys of a batch that are among these."""
        positions = self._index.find(keys_array(keys))
        return self._index.locate(positions[positions >= 0])[0]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What is to be put into batches (shape (n,)), and what has failed in one by itself."""

    send: NDArray[np.bool_]
    failed: Sequence[tuple[bytes, EmbedFailure]]


def find_standing(
    pending: PendingKeys, free: NDArray[np.bool_], waiting: Iterable[BatchRecord], collected: Iterable[BatchRecord], most: int
) -> Standing:
    """Return how what is not finished stands.

    Args:
        pending: the keys.
        free: which of them nobody else sends, and are not finished by now.
        waiting: batches at the provider.
        collected: those that count: what they have left undone was tried, what they say has failed is not asked again.
        most: how many batches a request may be put into.
    """
    send, tried, failed = pending.once & free, np.zeros(len(pending.once), dtype=np.int64), []
    for record in waiting:
        send &= ~pending.mask(record.keys)
    for record in collected:
        tried += pending.mask(record.keys)
        for failure in record.failures:
            key = record.key(failure.number)
            if len(places := pending.places(key)) and free[places[0]]:
                send[places] = False
                failed.append((key, EmbedFailure(0, failure.reason, failure.message)))
    return Standing(send & (tried < most), failed)
