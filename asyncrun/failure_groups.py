"""Failed items by what was wrong with them: how many of each sort, and the first of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from asyncrun.records import ItemFailure

MOST_SORTS = 1000
"""Sorts of failures that are told apart; what comes beyond them is counted by its reason alone."""
_COMPARED = 300
"""Characters of a message by which two failures are of one sort."""
# What fields a record has instead of the one that it lacks; numbers, and ids of requests and the like: words of eight characters or
# more that have a digit.
_VARYING = re.compile(r"; known: .+|\b(?=[a-zA-Z_]*\d)\w{8,}\b|\d+")


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Items that failed in the same way: how many, and the first. `alike` is False where only their reason is the same."""

    count: int
    first: ItemFailure
    alike: bool = True


class FailureGroups:
    """Counts failed items by their sort: the same reason, and the same message but for numbers and ids.

    >>> from asyncrun.errors import Place
    >>> groups = FailureGroups()
    >>> [groups.add(ItemFailure(f"n{line}", Place("notes.jsonl", line), "too_long", f"{line}00 tokens")) for line in (3, 4)]
    [True, False]
    >>> [(group.count, group.first.id) for group in groups.largest_first()]
    [(2, 'n3')]
    """

    def __init__(self, failures: Iterable[ItemFailure] = ()) -> None:
        self._groups: dict[tuple[str, str | None], FailureGroup] = {}
        for failure in failures:
            self.add(failure)

    def add(self, failure: ItemFailure) -> bool:
        """Count one item; return whether it is the first of its sort."""
        return self._add(FailureGroup(1, failure))

    def add_all(self, groups: Iterable[FailureGroup]) -> None:
        """Count what was counted elsewhere."""
        for group in groups:
            self._add(group)

    def largest_first(self) -> tuple[FailureGroup, ...]:
        """Return all sorts, those of most items first, equal ones as they came."""
        return tuple(sorted(self._groups.values(), key=lambda group: -group.count))

    def in_order(self) -> tuple[FailureGroup, ...]:
        """Return all sorts as they came."""
        return tuple(self._groups.values())

    def _add(self, group: FailureGroup) -> bool:
        key = _sort_of(group)
        if key not in self._groups and len(self._groups) >= MOST_SORTS:
            key = (key[0], None)
        known = self._groups.get(key)
        if known is not None:
            self._groups[key] = replace(known, count=known.count + group.count)
        else:
            self._groups[key] = replace(group, alike=key[1] is not None)
        return known is None


def merged(groups: Iterable[tuple[str, FailureGroup]]) -> list[tuple[str, FailureGroup]]:
    """Return groups of several jobs, each with its job, those of one sort together, as they come: with that job or how many there are.

    >>> from asyncrun.errors import Place
    >>> group = FailureGroup(2, ItemFailure("n1", Place("notes.jsonl", 1), "empty", "the text is empty"))
    >>> [(job, found.count) for job, found in merged([("notes", group), ("docs", group)])]
    [('2 jobs', 4)]
    """
    jobs: dict[tuple[str, str | None], list[str]] = {}
    sums: dict[tuple[str, str | None], FailureGroup] = {}
    for job, group in groups:
        sort = _sort_of(group)
        known = sums.get(sort)
        sums[sort] = group if known is None else replace(known, count=known.count + group.count)
        jobs.setdefault(sort, []).append(job)
    return [(names[0] if len(names) == 1 else f"{len(names):,} jobs", sums[sort]) for sort, names in jobs.items()]


def _sort_of(group: FailureGroup) -> tuple[str, str | None]:
    return group.first.reason, _VARYING.sub("#", group.first.message[:_COMPARED]) if group.alike else None
