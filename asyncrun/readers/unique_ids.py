"""Unique ids: finds two items with one id among millions, in 8 bytes an id."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import Literal

from asyncrun.errors import Place, UsageError
from asyncrun.escape import cut
from asyncrun.records import BadItem, Item

Duplicates = Literal["fail", "first", "last"]
"""What to do with a second item of the same id."""


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
