"""The pass over a job's input before its first request: keys, sizes, bad items, what changed since the last run."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import orjson

from asyncrun.jobs.outputs import RowIds, new_row_ids
from asyncrun.jobs.run_options import RetrySelection
from asyncrun.jobs.unfinished_texts import UnfinishedTexts
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.records import KEY_BYTES, BadItem, Item, ItemFailure, text_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_KEY = bytes(KEY_BYTES)
_DIGESTED_AT_ONCE = 1024


class State(IntEnum):
    """How an item of the input stands after the scan."""

    READY = 0
    SKIPPED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What a pass over the input found; position i of every array is the i-th item of the input.

    `raw_keys` are the content keys one after the other, `keys` the same with the shape (n, 2), `sizes` are UTF-8 bytes as sent,
    `states` are `State`s, `held` says which items are not to be sent now, `ids` are as in `RowIds`. `digest` stands for the
    ids, keys and metadata of all items in their order.
    """

    raw_keys: bytes
    keys: NDArray[np.uint64]
    sizes: NDArray[np.int64]
    states: NDArray[np.uint8]
    failures: tuple[KnownFailure, ...]
    digest: str
    held: NDArray[np.bool_]
    ids: NDArray[np.int64]
    _found: dict[KeyIndex, NDArray[np.int64]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.states)

    def key(self, ordinal: int) -> bytes:
        """Return the content key of an item."""
        return self.raw_keys[ordinal * KEY_BYTES : (ordinal + 1) * KEY_BYTES]

    def raw_keys_of(self, ordinals: NDArray[np.intp]) -> bytes:
        """Return the content keys of items, one after the other."""
        return np.frombuffer(self.raw_keys, dtype=f"V{KEY_BYTES}")[ordinals].tobytes()

    @property
    def ready(self) -> NDArray[np.bool_]:
        """Return which items can be embedded; shape (n,)."""
        return np.equal(self.states, State.READY)

    def row_ids(self, items: NDArray[np.bool_]) -> RowIds[int]:
        """Return the ids of items, given as a mask."""
        return new_row_ids(self.ids[items].tobytes())

    def done(self, failed: Collection[int] = ()) -> RowIds[int]:
        """Return the ids of all that can be embedded but those whose text failed; `failed` are the ordinals of such items."""
        keys = np.frombuffer(self.raw_keys, dtype=f"V{KEY_BYTES}")
        return self.row_ids(self.ready & ~np.isin(keys, keys[list(failed)]) if failed else self.ready)

    @property
    def skipped(self) -> int:
        """Return how many items are left out on purpose."""
        return int(np.count_nonzero(self.states == State.SKIPPED))

    @property
    def failed(self) -> int:
        """Return how many items cannot be embedded as they are."""
        return int(np.count_nonzero(self.states == State.FAILED))

    def missing(self, index: KeyIndex) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which items must be sent, one for each different text, and for how many items each of them stands.

        A text is sent when one of its items is not held.
        """
        send = np.zeros(len(self), dtype=bool)
        times = np.zeros(len(self), dtype=np.int64)
        unfinished = np.flatnonzero(self.unfinished(index))
        if len(unfinished):
            _, first, text, counts = np.unique(self.keys[unfinished], axis=0, return_index=True, return_inverse=True, return_counts=True)
            wanted = np.bincount(text.ravel(), weights=~self.held[unfinished]) > 0
            send[unfinished[first[wanted]]] = True
            times[unfinished[first[wanted]]] = counts[wanted]
        return send, times

    def unfinished(self, index: KeyIndex) -> NDArray[np.bool_]:
        """Return which items can be embedded and are not finished."""
        return self.ready & (self.positions(index) < 0)

    def positions(self, index: KeyIndex) -> NDArray[np.int64]:
        """Return where each item stands in an index, -1 where it is not finished; of the last index it is remembered."""
        if index not in self._found:
            self._found.clear()
            self._found[index] = index.find(self.keys)
        return self._found[index]


def scan(
    items: Iterable[Item | BadItem],
    *,
    as_sent: Callable[[str], str],
    space: str,
    known: Mapping[str, KnownFailure],
    skip: frozenset[str],
    skip_empty: bool,
    only: RetrySelection | None = None,
    texts: UnfinishedTexts | None = None,
) -> Scan:
    """Pass over the items once; those that can be embedded are added to `texts`.

    An item that failed by itself in an earlier run, with the same text and space, stays failed: it is not sent again. With `only`, the
    failures of those items do not count, and all other items are held.
    """
    keys, sizes, states, held, ids = bytearray(), array("q"), bytearray(), bytearray(), array("q")
    failures: list[KnownFailure] = []
    digest = _Digest()
    for item in items:
        key, size, state = NO_KEY, 0, State.READY
        chosen = only is not None and only.has(item)
        before = None if chosen else known.get(item.id)
        if item.id in skip:
            state = State.SKIPPED
        elif isinstance(item, BadItem):
            state = State.FAILED
            failures.append(KnownFailure(ItemFailure(item.id, item.place, item.reason, item.message), space, NO_KEY))
        else:
            sent = as_sent(item.text)
            key, size = text_key(sent), len(sent) if sent.isascii() else len(sent.encode())
            empty = not item.text or item.text.isspace()
            if empty and skip_empty:
                state = State.SKIPPED
            elif empty or before is not None:
                state = _after(before, item, key, space, failures, again=only is None)
            if texts is not None and state is State.READY:
                texts.add(len(states), key, size, item)
            digest.add(item)
        keys += key
        sizes.append(size)
        states.append(state)
        held.append(only is not None and not chosen)
        ids.append(hash(item.id))
    raw_keys = bytes(keys)
    return Scan(
        raw_keys,
        keys_array(keys),
        np.array(sizes, dtype=np.int64),
        np.array(states, dtype=np.uint8),
        tuple(failures),
        digest.of(raw_keys),
        np.array(held, dtype=np.bool_),
        np.array(ids, dtype=np.int64),
    )


class _Digest:
    """What stands for the ids and metadata of items, and then for their keys."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._rows: list[str | dict[str, object]] = []

    def add(self, item: Item) -> None:
        self._rows.append(item.id)
        if item.metadata:
            self._rows.append(dict(item.metadata))
        if len(self._rows) >= _DIGESTED_AT_ONCE:
            self._take_in()

    def of(self, raw_keys: bytes) -> str:
        self._take_in()
        self._hash.update(raw_keys)
        return self._hash.hexdigest()

    def _take_in(self) -> None:
        self._hash.update(orjson.dumps(self._rows, default=str, option=orjson.OPT_SORT_KEYS))
        self._rows.clear()


def _after(known: KnownFailure | None, item: Item, key: bytes, space: str, failures: list[KnownFailure], *, again: bool) -> State:
    """Return the state of a readable item, given how it failed before; `again` says whether what failed by transport is sent again."""
    if known is not None and (known.holds_for(key, space) or not again):
        before = ItemFailure(item.id, item.place, known.failure.reason, known.failure.message, known.failure.attempts)
        failures.append(replace(known, failure=before))
        return State.FAILED
    if not item.text.strip():
        failures.append(
            KnownFailure(ItemFailure(item.id, item.place, "empty", "the text is empty (on_empty: skip leaves it out)"), space, key)
        )
        return State.FAILED
    return State.READY
