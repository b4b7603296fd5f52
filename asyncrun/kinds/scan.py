"""The pass over a job's input before its first request: keys, sizes, bad items, what changed since the last run."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import orjson

from asyncrun.ledger.index import KEY_BYTES, KeyIndex, keys_array
from asyncrun.ledger.ledger import KnownFailure
from asyncrun.records import BadItem, Item, ItemFailure, content_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_KEY = bytes(KEY_BYTES)


class State(IntEnum):
    """How an item of the input stands after the scan."""

    READY = 0
    SKIPPED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What a pass over the input found; position i of every array is the i-th item of the input.

    `raw_keys` are the content keys one after the other, `keys` the same with the shape (n, 2), `sizes` are UTF-8 bytes as sent,
    `states` are `State`s. `digest` stands for the ids, keys and metadata of all items in their order.
    """

    raw_keys: bytes
    keys: NDArray[np.uint64]
    sizes: NDArray[np.int64]
    states: NDArray[np.uint8]
    failures: tuple[KnownFailure, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.states)

    def key(self, ordinal: int) -> bytes:
        """Return the content key of an item."""
        return self.raw_keys[ordinal * KEY_BYTES : (ordinal + 1) * KEY_BYTES]

    @property
    def ready(self) -> NDArray[np.bool_]:
        """Return which items can be embedded; shape (n,)."""
        return np.equal(self.states, State.READY)

    @property
    def skipped(self) -> int:
        """Return how many items are left out on purpose."""
        return int(np.count_nonzero(self.states == State.SKIPPED))

    def missing(self, index: KeyIndex) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which items must be sent, one for each different text, and for how many items each of them stands."""
        send = np.zeros(len(self), dtype=bool)
        times = np.zeros(len(self), dtype=np.int64)
        open_items = np.flatnonzero(self.ready & (index.find(self.keys) < 0))
        if len(open_items):
            _, first, counts = np.unique(self.keys[open_items], axis=0, return_index=True, return_counts=True)
            send[open_items[first]] = True
            times[open_items[first]] = counts
        return send, times


def scan(
    items: Iterable[Item | BadItem],
    *,
    as_sent: Callable[[str], str],
    space: str,
    known: Mapping[str, KnownFailure],
    skip: frozenset[str],
    skip_empty: bool,
) -> Scan:
    """Pass over the items once.

    An item that failed by itself in an earlier run, with the same text and space, stays failed: it is not sent again.
    """
    keys, sizes, states = bytearray(), array("q"), bytearray()
    failures: list[KnownFailure] = []
    digest = hashlib.blake2b(digest_size=16)
    for item in items:
        key, size, state = NO_KEY, 0, State.READY
        if item.id in skip:
            state = State.SKIPPED
        elif isinstance(item, BadItem):
            state = State.FAILED
            failures.append(KnownFailure(ItemFailure(item.id, item.place, item.reason, item.message), space, NO_KEY))
        else:
            sent = as_sent(item.text)
            key, size = content_key(sent), len(sent.encode())
            state = State.SKIPPED if skip_empty and not item.text.strip() else _after(known.get(item.id), item, key, space, failures)
            digest.update(orjson.dumps([item.id, key.hex(), dict(item.metadata)], default=str, option=orjson.OPT_SORT_KEYS))
        keys += key
        sizes.append(size)
        states.append(state)
    return Scan(
        bytes(keys),
        keys_array(keys),
        np.frombuffer(sizes, dtype=np.int64) if sizes else np.empty(0, dtype=np.int64),
        np.frombuffer(bytes(states), dtype=np.uint8),
        tuple(failures),
        digest.hexdigest(),
    )


def _after(known: KnownFailure | None, item: Item, key: bytes, space: str, failures: list[KnownFailure]) -> State:
    """Return the state of a readable item, given how it failed before."""
    if known is not None and (known.key, known.space) == (key, space) and known.failure.reason != "server_error":
        again = ItemFailure(item.id, item.place, known.failure.reason, known.failure.message, known.failure.attempts)
        failures.append(KnownFailure(again, space, key))
        return State.FAILED
    if not item.text.strip():
        failures.append(
            KnownFailure(ItemFailure(item.id, item.place, "empty", "the text is empty (on_empty: skip leaves it out)"), space, key)
        )
        return State.FAILED
    return State.READY
