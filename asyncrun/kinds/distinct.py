"""A job's input with every id once: the same files and the same items at every pass of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from asyncrun.errors import StorageError
from asyncrun.readers.files import Inventory
from asyncrun.readers.source import Source
from asyncrun.readers.unique import Unique
from asyncrun.records import BadItem, Item


class DistinctSource:
    """Passes over a source several times; the files are looked up at the first pass.

    Under `duplicates: fail` the first whole pass raises UsageError at a repeated id. Under `first` and `last` a pass of its own finds out
    which items to keep. `unnamed` counts the items of rows without an id of their own: their line stands for them.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._inventory: Inventory | None = None
        self._unique: Unique | None = None
        self.unnamed = 0

    def items(self) -> Iterator[Item | BadItem]:
        """Yield the items in input order. Blocks. Raises UsageError and StorageError as `Source.items`."""
        if self._unique is None and self._source.duplicates == "fail":
            yield from self._checked()
            return
        if self._unique is None:
            for _ in self._checked():
                pass
        keeps = self._keeps()
        yield from (item for item in self._source.items(self._inventory) if keeps(item.id))

    def _checked(self) -> Iterator[Item | BadItem]:
        self._inventory = self._source.check()
        self.unnamed = 0
        unique = Unique(self._source.duplicates)
        for item in self._source.items(self._inventory, self._count_unnamed):
            unique.add(item.id, item.place)
            yield item
        self._unique = unique

    def _keeps(self) -> Callable[[str], bool]:
        return self._unique.passage() if self._unique is not None else lambda _: True

    def _count_unnamed(self, _: Item) -> None:
        self.unnamed += 1


def changed_input(file: str) -> StorageError:
    """Return the error for an input that is no longer what the first pass saw."""
    return StorageError(f"{file} changed while the job ran", hint="Run the same command again: finished items are not sent again.")
