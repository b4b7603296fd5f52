"""Unique ids: finds two items with one id among millions, in about 130 bytes an id."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Literal

from asyncrun.errors import Place, UsageError
from asyncrun.records import content_key

Duplicates = Literal["fail", "first", "last"]
"""What to do with a second item of the same id."""

_LINE_BITS = 40


class Unique:
    """Takes in the ids of one pass over the input, then tells for later passes which items to keep.

    An id is held as 16 bytes of BLAKE2b (a million ids collide with a probability below 1e-26), its place as one 64-bit number:
    which file, which line. The dict of the hashes is also their order, so no number is kept beside each.

    `fail` raises at the second item with an id. `first` and `last` keep one of them. Which one is the last is known only at the
    end of the pass, so both are answered afterwards, from how often each repeated id was seen; only those are then remembered.

    >>> unique = Unique("last")
    >>> [unique.add(id, Place("a.jsonl", line)) for line, id in enumerate(["x", "y", "x"], 1)]
    [True, True, False]
    >>> keeps = unique.passage()
    >>> [keeps(id) for id in ["x", "y", "x"]]
    [False, True, True]
    """

    def __init__(self, policy: Duplicates = "fail") -> None:
        self.policy = policy
        self._order: dict[bytes, None] = {}
        self._places = array("Q")
        self._files: dict[str, int] = {}
        self._repeats: dict[bytes, int] = {}

    @property
    def duplicates(self) -> int:
        """Return how many items have the id of an earlier one."""
        return sum(self._repeats.values())

    def add(self, item_id: str, place: Place) -> bool:
        """Take in the next id; return whether it is new. Raises UsageError, with both places, under `fail`."""
        key = content_key(item_id)
        if key not in self._order:
            self._order[key] = None
            self._places.append(self._files.setdefault(place.file, len(self._files)) << _LINE_BITS | (place.line or 0))
            return True
        if self.policy == "fail":
            raise UsageError(
                f"the id {item_id!r} is already that of {self._place_of(key)}",
                place=Place(place.file, place.line),
                hint="Make the ids unique (`id`, `root`), or set `duplicates: first` or `last`.",
            )
        self._repeats[key] = self._repeats.get(key, 0) + 1
        return False

    def passage(self) -> Callable[[str], bool]:
        """Return what tells, asked once for each item of a further pass in input order, whether to keep it.

        After the first call no more ids can be added: their memory is given back.
        """
        self._order, self._places = {}, array("Q")
        if not self._repeats:
            return lambda item_id: True
        seen: dict[bytes, int] = {}

        def keeps(item_id: str) -> bool:
            key = content_key(item_id)
            repeats = self._repeats.get(key)
            if repeats is None:
                return True
            before = seen.get(key, 0)
            seen[key] = before + 1
            return before == (0 if self.policy == "first" else repeats)

        return keeps

    def _place_of(self, key: bytes) -> Place:
        packed = next(place for known, place in zip(self._order, self._places, strict=True) if known == key)
        return Place(list(self._files)[packed >> _LINE_BITS], packed % (1 << _LINE_BITS) or None)
