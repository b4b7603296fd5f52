"""The pass over a generate job's input before its first request: how many items, which cannot be asked about, what stands for all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import orjson

from asyncrun.errors import Reason
from asyncrun.jobs.generate.conversation import Generating
from asyncrun.jobs.run_options import RetrySelection
from asyncrun.jobs.scan import NO_KEY
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.records import BadItem, Item, ItemFailure

_DIGESTED_AT_ONCE = 1024


class ItemDigest:
    """What stands for the ids, texts and metadata of items in their order, however many there are."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._rows: list[object] = []

    def add(self, item: Item) -> None:
        """Take in the next item."""
        self._rows += (item.id, item.text)
        if item.metadata:
            self._rows.append(dict(item.metadata))
        if len(self._rows) >= _DIGESTED_AT_ONCE:
            self._take_in()

    def hexdigest(self) -> str:
        """Return what stands for the items so far."""
        self._take_in()
        return self._hash.hexdigest()

    def _take_in(self) -> None:
        self._hash.update(orjson.dumps(self._rows, default=str, option=orjson.OPT_SORT_KEYS))
        self._rows.clear()


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What a pass over the input has found.

    `failures` are those of items that are not asked about in this run: they cannot be read, or were refused before and would be again.
    `answered` are those of items whose answers did not fit, and are looked at again: more repairs may be allowed by now.
    """

    items: int
    skipped: int
    failures: tuple[KnownFailure, ...]
    answered: tuple[KnownFailure, ...]
    digest: str

    @property
    def known(self) -> tuple[KnownFailure, ...]:
        """Return all that have failed, as far as that is known before anything is asked."""
        return (*self.failures, *self.answered)

    @property
    def held(self) -> frozenset[str]:
        """Return the ids of the items that are not asked about."""
        return frozenset(known.failure.id for known in self.failures)


def survey(
    items: Iterable[Item | BadItem],
    generating: Generating,
    *,
    known: Mapping[str, KnownFailure],
    skip: frozenset[str],
    only: RetrySelection | None = None,
) -> Survey:
    """Pass over the items once. Blocks. With `only`, former failures of those items do not count, and those of all others do."""
    count = skipped = 0
    failures: list[KnownFailure] = []
    answered: list[KnownFailure] = []
    digest = ItemDigest()
    for item in items:
        count += 1
        if item.id in skip:
            skipped += 1
            continue
        if isinstance(item, BadItem):
            failures.append(KnownFailure(ItemFailure(item.id, item.place, item.reason, item.message), generating.space.fingerprint, NO_KEY))
            continue
        digest.add(item)
        before = known.get(item.id)
        if before is not None and not (only is not None and only.has(item)):
            again = replace(before, failure=replace(before.failure, place=item.place))
            if before.failure.reason == Reason.BAD_ANSWER:
                answered.append(again)
            elif only is not None or holds(before, item, generating):
                failures.append(again)
    return Survey(count, skipped, tuple(failures), tuple(answered), digest.hexdigest())


def items_to_ask(items: Iterable[Item | BadItem], held: frozenset[str], skip: frozenset[str], digest: ItemDigest) -> Iterator[Item]:
    """Yield the items that are asked about; `digest` takes in all that the survey's has."""
    for item in items:
        if isinstance(item, BadItem) or item.id in skip:
            continue
        digest.add(item)
        if item.id not in held:
            yield item


def holds(before: KnownFailure, item: Item, generating: Generating) -> bool:
    """Tell whether an item that failed would fail again."""
    asked = generating.asked(item)
    if asked.failed is not None:
        return (before.key, before.failure.reason, before.failure.message) == (NO_KEY, asked.failed.reason, asked.failed.message)
    return any(before.holds_for(conversation.key, generating.space.fingerprint) for conversation in asked.conversations)
