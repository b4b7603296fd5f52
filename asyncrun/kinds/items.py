"""What `embed` and `query` share: scan the items, send those that are missing, keep the failures."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.embedders.interface import Embedder, Empty
from asyncrun.errors import AsyncrunError
from asyncrun.kinds.context import JobContext
from asyncrun.kinds.distinct import DistinctSource, changed_input
from asyncrun.kinds.ledgered import Pending
from asyncrun.kinds.scan import NO_KEY, Scan, scan
from asyncrun.kinds.sending import Batch, send_all
from asyncrun.kinds.tally import Tally
from asyncrun.ledger.index import KeyIndex
from asyncrun.ledger.ledger import KnownFailure
from asyncrun.records import Embedded, EmbedFailure, InputType, Item, ItemFailure, content_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.records import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """The items of a job and the embedder that their texts go to."""

    source: DistinctSource
    embedder: Embedder
    input_type: InputType
    on_empty: Empty
    context: JobContext

    def scan(self, *, embeds: bool = True) -> Scan:
        """Pass over the input once. Blocks. Where nothing is embedded, what failed to be embedded before does not matter."""
        return scan(
            self.context.unless_stopped(self.source.items()),
            as_sent=lambda text: self.embedder.as_sent(text, self.input_type),
            space=self.embedder.space(self.input_type).fingerprint,
            known=self.context.ledger.failures(self.context.failures) if embeds else {},
            skip=self.context.skip,
            skip_empty=self.on_empty == "skip",
        )

    def index(self) -> KeyIndex:
        """Return what is finished in the space of these items. Blocks."""
        return self.context.ledger.index(self.embedder.space(self.input_type))

    async def send_missing(self, scanned: Scan, index: KeyIndex, tally: Tally) -> AsyncrunError | None:
        """Send what is not finished; every vector is durable before it is counted.

        Returns the error that ended it early. Failures are kept in the ledger in every case.
        """
        send, times = scanned.missing(index)
        finished = int(np.count_nonzero(scanned.ready)) - int(times.sum())
        tally.add(ok=finished, cached=finished, skipped=scanned.skipped)
        failures: dict[int, EmbedFailure] = {}

        def received(batch: Batch, answer: Embedded) -> AsyncrunError | None:
            tally.use(answer.usage)
            tally.add(
                ok=sum(int(times[batch[position].ordinal]) for position in answer.positions),
                truncated=sum(int(times[batch[position].ordinal]) for position in answer.truncated),
            )
            failures.update((batch[failure.position].ordinal, failure) for failure in answer.failures)
            failed = len(scanned.failures) + sum(int(times[ordinal]) for ordinal in failures)
            return tally.too_many(more=failed) if answer.failures else None

        try:
            if error := tally.too_many(more=len(scanned.failures)):
                return error
            pending = self._pending(scanned, send) if send.any() else ()
            return await send_all(pending, received, embedder=self.embedder, input_type=self.input_type, context=self.context)
        finally:
            await self.keep_failures(scanned, failures, tally)

    def present(self, scanned: Scan, index: KeyIndex) -> str:
        """Return a word for which items are finished."""
        finished = scanned.ready & (index.find(scanned.keys) >= 0)
        return hashlib.blake2b(np.packbits(finished).tobytes(), digest_size=16).hexdigest()

    def rows(self, scanned: Scan, index: KeyIndex) -> Iterator[list[tuple[Item, Vectors]]]:
        """Yield the finished items with their vectors, in input order, in blocks. Blocks.

        Raises StorageError when the input is no longer what the scan saw.
        """
        for block in self.blocks(scanned):
            positions = index.find(scanned.keys[[ordinal for ordinal, _ in block]])
            found = np.flatnonzero(positions >= 0)
            vectors = self.context.ledger.vectors(index, positions[found])
            yield [(block[row][1], vector) for row, vector in zip(found.tolist(), vectors, strict=True)]

    def blocks(self, scanned: Scan, size: int = 256) -> Iterator[list[tuple[int, Item]]]:
        """Yield the readable items with their ordinals, in input order, in lists of at most `size`. Blocks."""
        ready = self._ready(scanned)
        while block := list(islice(ready, size)):
            yield block

    def _ready(self, scanned: Scan) -> Iterator[tuple[int, Item]]:
        ordinal, ready = -1, scanned.ready.tobytes()
        for ordinal, item in enumerate(self.source.items()):
            if ordinal >= len(scanned):
                raise changed_input(item.place.file)
            if not ready[ordinal]:
                continue
            key = content_key(self.embedder.as_sent(item.text, self.input_type)) if isinstance(item, Item) else b""
            if not isinstance(item, Item) or key != scanned.key(ordinal):
                raise changed_input(item.place.file)
            yield ordinal, item
        if ordinal + 1 != len(scanned):
            raise changed_input("the input")

    def _pending(self, scanned: Scan, send: NDArray[np.bool_]) -> Iterator[Pending]:
        for ordinal, item in self._ready(scanned):
            if send[ordinal]:
                yield Pending(scanned.key(ordinal), item.text, int(scanned.sizes[ordinal]), ordinal)

    async def keep_failures(self, scanned: Scan, failures: dict[int, EmbedFailure], tally: Tally) -> None:
        """Store and count the failures of the scan and of the answers, those of items with the same text included."""
        by_key = {scanned.key(ordinal): failure for ordinal, failure in failures.items()}
        known = list(scanned.failures)
        if by_key:
            known += await asyncio.to_thread(lambda: list(self._failed(scanned, by_key)))
        for each in known:
            tally.fail(each.failure)
        if tally.counts.ok == tally.counts.cached:
            # Nothing has been accepted yet: these refusals may be the endpoint's fault, so the next run asks again.
            known = [*scanned.failures, *(replace(each, key=NO_KEY) for each in known[len(scanned.failures) :])]
        await self.context.ledger.set_failures(self.context.failures, known)

    def _failed(self, scanned: Scan, by_key: dict[bytes, EmbedFailure]) -> Iterator[KnownFailure]:
        space = self.embedder.space(self.input_type).fingerprint
        for ordinal, item in self._ready(scanned):
            failure = by_key.get(scanned.key(ordinal))
            if failure is not None:
                yield KnownFailure(
                    ItemFailure(item.id, item.place, failure.reason, failure.message, failure.attempts), space, scanned.key(ordinal)
                )
