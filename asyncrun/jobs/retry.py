"""A retry: the failed items of a job, and nothing else, are sent again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncrun.errors import TryLaterError
from asyncrun.records import BadItem, Item

if TYPE_CHECKING:
    from asyncrun.ledger.known_failures import KnownFailure


@dataclass(frozen=True, slots=True)
class Retry:
    """Which failures are tried again: those of `ids`, all when it is empty."""

    ids: frozenset[str] = field(default_factory=frozenset)

    def chosen(self, known: Mapping[str, KnownFailure]) -> Chosen:
        """Return the items that these failures belong to."""
        failures = {name: each for name, each in known.items() if not self.ids or name in self.ids}
        lines = {(each.failure.place.file, each.failure.place.line) for each in failures.values() if each.failure.place.line is not None}
        return Chosen(frozenset(failures), frozenset(lines))


@dataclass(frozen=True, slots=True)
class Chosen:
    """Items by id, and by their line: a bad record has no id of its own until it is mended."""

    ids: frozenset[str]
    lines: frozenset[tuple[str, int | None]]

    def has(self, item: Item | BadItem) -> bool:
        """Tell whether the item is one of them."""
        return item.id in self.ids or (item.place.file, item.place.line) in self.lines


def not_done(count: int) -> TryLaterError | None:
    """Return the error of a job of which items remain that a retry does not send; None without any."""
    if not count:
        return None
    return TryLaterError(
        f"{count:,} {'item is' if count == 1 else 'items are'} new since the last run, and a retry sends none but the failed",
        hint="Send them with `asyncrun run`; the output is written then.",
    )
