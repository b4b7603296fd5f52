"""A job's input with every id once: the same files and the same items at every pass of a run, in 8 bytes an id."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from asyncrun.errors import Place, StorageError, UsageError
from asyncrun.escape import cut
from asyncrun.humanize import counted
from asyncrun.readers.input_files import Inventory
from asyncrun.readers.interface import Stopped
from asyncrun.readers.item_source import Duplicates, ItemSource
from asyncrun.readers.missing_fields import FieldWatch, MissingField
from asyncrun.records import BadItem, Item

if TYPE_CHECKING:
    from asyncrun.grammar.shard import Shard


class DistinctSource:
    """Passes over a source several times; the files are looked up at the first pass.

    The first whole pass ends with UsageError if no item has the field of its text, and under `duplicates: fail` if an id is repeated.
    Under `first` and `last` a pass of its own finds out which items to keep. `unnamed` counts the items of rows without an id of their
    own: their line stands for them; `skipped_files` are the files that a glob matched and that are no input, `missing` are other fields
    that the job names and no item has. With a `limit` the input ends after so many items; with a `shard` it has the items of that
    alone, while what is said of the input is said of all of it.
    """

    def __init__(self, source: ItemSource, limit: int | None = None, shard: Shard | None = None) -> None:
        self._source = source
        self._limit = None if limit is None else min(limit, sys.maxsize)
        self._shard = shard
        self._inventory: Inventory | None = None
        self._unique: UniqueIds | None = None
        self.unnamed = 0
        self.missing: tuple[MissingField, ...] = ()
        self._remarks: dict[str, tuple[int, str]] = {}

    def items(self, stopped: Stopped = lambda: None) -> Iterator[Item | BadItem]:
        """Yield the items in input order. Blocks. Raises UsageError, StorageError and what `stopped` returns as `ItemSource.items`."""
        if self._unique is None and self._source.duplicates == "fail":
            yield from self._checked(self._limit, stopped)
            return
        if self._unique is None:
            for _ in self._checked(None, stopped):
                pass
        keeps = self._keeps()
        again = self._source.items(self._inventory, stopped=stopped)
        yield from islice((item for item in again if keeps(item.id) and self._has(item)), self._limit)

    @property
    def skipped_files(self) -> tuple[str, ...]:
        """Return the files that are not read although a glob matched them, as the first pass found them."""
        return self._inventory.skipped if self._inventory is not None else ()

    @property
    def lacking_files(self) -> Mapping[str, str]:
        """Return the files that are not read for want of an extra, each with the sentence that says so."""
        return self._inventory.lacking if self._inventory is not None else {}

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what readers remarked in the first pass, each with how many files it is about and the first of them."""
        return tuple(
            f"{counted(count, 'file')} {remark}: {first}" + (", ..." if count > 1 else "")
            for remark, (count, first) in self._remarks.items()
        )

    def _checked(self, limit: int | None, stopped: Stopped) -> Iterator[Item | BadItem]:
        self._inventory = self._source.check()
        self.unnamed = 0
        self._remarks = {}
        unique, watch = UniqueIds(self._source.duplicates), self._source.watch()
        for item in islice(self._source.items(self._inventory, self._count_unnamed, watch, self._keep_remark, stopped), limit):
            unique.add(item.id)
            if self._has(item):
                yield item
        self.missing = self._settled(watch, limit)
        for field in self.missing:
            if field.needed:
                raise field.error()
        unique.settle(lambda: islice(self._source.items(self._inventory), limit))
        self._unique = unique

    def _settled(self, watch: FieldWatch, limit: int | None) -> tuple[MissingField, ...]:
        """Return the fields that no item has; the first ones alone do not tell."""
        if limit is not None and not watch.satisfied:
            watch = find_missing_fields(self._source, self._inventory)
        return tuple(watch.missing())

    def _has(self, item: Item | BadItem) -> bool:
        return self._shard is None or self._shard.has(item)

    def _keeps(self) -> Callable[[str], bool]:
        return self._unique.new_pass() if self._unique is not None else lambda _: True

    def _count_unnamed(self, _: Item) -> None:
        self.unnamed += 1

    def _keep_remark(self, remark: str, place: Place) -> None:
        count, first = self._remarks.get(remark, (0, place.file))
        self._remarks[remark] = count + 1, first


def find_missing_fields(source: ItemSource, inventory: Inventory | None = None) -> FieldWatch:
    """Pass over an input until every field that the job names was seen, or to its end. Blocks."""
    watch = source.watch()
    for _ in source.items(inventory, watch=watch):
        if watch.satisfied:
            break
    return watch


def changed_input(file: str) -> StorageError:
    """Return the error for an input that is no longer what the first pass saw."""
    return StorageError(f"{file} changed while the job ran", hint="Run the same command again: finished items are not sent again.")


class UniqueIds:
    """Takes in the ids of one pass over the input, then tells for later passes which items to keep.

    Of an id only its hash is held. Hashes that come twice are rare unless an id does: a second pass looks at those ids alone.

    >>> items = [Item(id, "text", Place("a.jsonl", line)) for line, id in enumerate(["x", "y", "x"], 1)]
    >>> unique = UniqueIds("last")
    >>> for item in items:
    ...     unique.add(item.id)
    >>> unique.settle(lambda: items)
    >>> keeps = unique.new_pass()
    >>> [keeps(item.id) for item in items]
    [False, True, True]
    """

    def __init__(self, policy: Duplicates = "fail") -> None:
        self.policy = policy
        self._hashes = array("q")
        self._times: dict[str, int] = {}

    def add(self, item_id: str) -> None:
        """Take in the next id."""
        self._hashes.append(hash(item_id))

    def settle(self, again: Callable[[], Iterable[Item | BadItem]]) -> None:
        """Find the ids that come twice; `again` yields the same items once more, and is called only if there seem to be any.

        Raises UsageError, with both places, under `fail`.
        """
        suspects = self._suspects()
        if not suspects:
            return
        first: dict[str, Place] = {}
        for item in again():
            if hash(item.id) not in suspects:
                continue
            if item.id in first and self.policy == "fail":
                place = first[item.id]
                raise UsageError(
                    f"the id {cut(item.id)!r} is already that of {Place(place.file, place.line)}",
                    place=Place(item.place.file, item.place.line),
                    hint="Make the ids unique (`id`, `root`), or set `duplicates: first` or `last`.",
                )
            first.setdefault(item.id, item.place)
            self._times[item.id] = self._times.get(item.id, 0) + 1

    def new_pass(self) -> Callable[[str], bool]:
        """Return what tells, asked once for each item of a further pass in input order, whether to keep it."""
        seen: dict[str, int] = {}

        def keeps(item_id: str) -> bool:
            times = self._times.get(item_id, 1)
            if times == 1:
                return True
            seen[item_id] = seen.get(item_id, 0) + 1
            return seen[item_id] == (1 if self.policy == "first" else times)

        return keeps

    def _suspects(self) -> frozenset[int]:
        """Return the hashes that came more than once, and give the memory of all back."""
        import numpy as np

        hashes = np.sort(np.frombuffer(self._hashes, dtype=np.int64))
        self._hashes = array("q")
        return frozenset(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
