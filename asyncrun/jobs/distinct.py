"""A job's input with every id once: the same files and the same items at every pass of a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice

from asyncrun.errors import StorageError
from asyncrun.readers.input_files import Inventory
from asyncrun.readers.item_source import ItemSource
from asyncrun.readers.missing_fields import FieldWatch, MissingField
from asyncrun.readers.unique_ids import UniqueIds
from asyncrun.records import BadItem, Item


class DistinctSource:
    """Passes over a source several times; the files are looked up at the first pass.

    The first whole pass ends with UsageError if no item has the field of its text, and under `duplicates: fail` if an id is repeated.
    Under `first` and `last` a pass of its own finds out which items to keep. `unnamed` counts the items of rows without an id of their
    own: their line stands for them; `passed_over` are the files that a glob matched and that are no input, `missing` are other fields
    that the job names and no item has. With a `limit` the input ends after so many items.
    """

    def __init__(self, source: ItemSource, limit: int | None = None) -> None:
        self._source = source
        self._limit = None if limit is None else min(limit, sys.maxsize)
        self._inventory: Inventory | None = None
        self._unique: UniqueIds | None = None
        self.unnamed = 0
        self.missing: tuple[MissingField, ...] = ()

    def items(self) -> Iterator[Item | BadItem]:
        """Yield the items in input order. Blocks. Raises UsageError and StorageError as `ItemSource.items`."""
        if self._unique is None and self._source.duplicates == "fail":
            yield from self._checked(self._limit)
            return
        if self._unique is None:
            for _ in self._checked(None):
                pass
        keeps = self._keeps()
        yield from islice((item for item in self._source.items(self._inventory) if keeps(item.id)), self._limit)

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Return the files that are not read although a glob matched them, as the first pass found them."""
        return self._inventory.skipped if self._inventory is not None else ()

    def _checked(self, limit: int | None) -> Iterator[Item | BadItem]:
        self._inventory = self._source.check()
        self.unnamed = 0
        unique, watch = UniqueIds(self._source.duplicates), self._source.watch()
        for item in islice(self._source.items(self._inventory, self._count_unnamed, watch), limit):
            unique.add(item.id)
            yield item
        self.missing = self._settled(watch, limit)
        unique.settle(lambda: islice(self._source.items(self._inventory), limit))
        self._unique = unique

    def _settled(self, watch: FieldWatch, limit: int | None) -> tuple[MissingField, ...]:
        """Return the fields that no item has; the first ones alone do not tell. Raises UsageError for one that every item needs."""
        if limit is not None and not watch.satisfied:
            watch = look(self._source, self._inventory)
        missing = tuple(watch.missing())
        for field in missing:
            if field.needed:
                raise field.error()
        return missing

    def _keeps(self) -> Callable[[str], bool]:
        return self._unique.new_pass() if self._unique is not None else lambda _: True

    def _count_unnamed(self, _: Item) -> None:
        self.unnamed += 1


def look(source: ItemSource, inventory: Inventory | None = None) -> FieldWatch:
    """Pass over an input until every field that the job names was seen, or to its end. Blocks."""
    watch = source.watch()
    for _ in source.items(inventory, watch=watch):
        if watch.satisfied:
            break
    return watch


def changed_input(file: str) -> StorageError:
    """Return the error for an input that is no longer what the first pass saw."""
    return StorageError(f"{file} changed while the job ran", hint="Run the same command again: finished items are not sent again.")
