"""What `embed` and `query` share: scan the items, send those that are missing, keep the failures."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.embedders.interface import Embedder, Empty
from asyncrun.errors import AsyncrunError
from asyncrun.kinds.claims import Share
from asyncrun.kinds.context import JobContext
from asyncrun.kinds.distinct import DistinctSource, changed_input
from asyncrun.kinds.news import news
from asyncrun.kinds.outputs import Output
from asyncrun.kinds.pending import Pending
from asyncrun.kinds.places import check_place
from asyncrun.kinds.retry import not_done
from asyncrun.kinds.room import Room, ledger_bytes, output_bytes
from asyncrun.kinds.scan import NO_KEY, Scan, scan
from asyncrun.kinds.sending import Batch, send_all
from asyncrun.kinds.tally import Tally
from asyncrun.ledger.index import KeyIndex
from asyncrun.ledger.ledger import TRUNCATED, KnownFailure
from asyncrun.ledger.notes import known_dimensions
from asyncrun.records import Embedded, EmbedFailure, InputType, Item, ItemFailure, Space, content_key

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

    @property
    def space(self) -> Space:
        """Return the space that the items come into."""
        return self.embedder.space(self.input_type)

    def scan(self, *, embeds: bool = True) -> Scan:
        """Pass over the input once. Blocks. Where nothing is embedded, what failed to be embedded before does not matter."""
        known = self.context.ledger.failures(self.context.failures) if embeds else {}
        return scan(
            self.context.unless_stopped(self.source.items()),
            as_sent=lambda text: self.embedder.as_sent(text, self.input_type),
            space=self.space.fingerprint,
            known=known,
            skip=self.context.skip,
            skip_empty=self.on_empty == "skip",
            only=self.context.retry.chosen(known) if self.context.retry is not None and embeds else None,
        )

    def index(self) -> KeyIndex:
        """Return what is finished in the space of these items, for the job's generation. Blocks."""
        return self.context.ledger.index(self.space, self.context.generation.since)

    def disk(self, scanned: Scan, index: KeyIndex, output: Output) -> dict[Path, int] | None:
        """Return how many bytes a run needs in the ledger's and the output's folder, None when that is not known. Blocks."""
        dimensions = self.embedder.dimensions or known_dimensions(self.context.ledger, self.space)
        send, _ = scanned.missing(index)
        if dimensions is None:
            return None
        needs = {self.context.ledger.folder: ledger_bytes(int(np.count_nonzero(send)), dimensions)}
        if output.path is not None and send.any():
            rows, text = int(np.count_nonzero(scanned.ready)), int(scanned.sizes[scanned.ready].sum())
            folder = output.path.parent
            # The rows of questions hold hits, whose size nobody knows before the search.
            in_rows = dimensions if self.input_type is InputType.DOCUMENT else 0
            needs[folder] = needs.get(folder, 0) + output_bytes(rows, in_rows, text, output.form.split()[0])
        return needs

    def room(self, scanned: Scan, index: KeyIndex, output: Output) -> Room:
        """Return who looks whether a run fits on the disk."""
        return Room(lambda: self.disk(scanned, index, output), self.context.free_space)

    def prepare(self, scanned: Scan, index: KeyIndex, room: Room) -> Sequence[str]:
        """Return what makes items new, after finding out whether they fit on the disk. Blocks. Raises StorageError."""
        send, _ = scanned.missing(index)
        if not send.any():
            return ()
        price = self.embedder.price_per_million_tokens
        cost = None if price is None else self.context.rate.of(scanned.sizes[send].tolist()) * price / 1_000_000
        room.check()
        return news(self.context, self.space, int(np.count_nonzero(scanned.open(index))), cost)

    async def send_missing(self, scanned: Scan, index: KeyIndex, tally: Tally, room: Room) -> AsyncrunError | None:
        """Send what is not finished; every vector is durable before it is counted.

        What another job of the run is sending is awaited, not sent. It ends when the first answer shows that there is no room. Returns the
        error that ended it early. Failures are kept in the ledger in every case.
        """
        send, times = scanned.missing(index)
        done = scanned.positions(index)[scanned.ready & ~scanned.open(index)]
        left = int(np.count_nonzero(scanned.open(index))) - int(times.sum())
        tally.add(ok=len(done), cached=len(done), skipped=scanned.skipped, truncated=int(np.count_nonzero(index.flags(done) & TRUNCATED)))
        failures: dict[int, EmbedFailure] = {}
        try:
            error: AsyncrunError | None = tally.too_many(more=len(scanned.failures))
            if error is None and send.any():
                await check_place(self.embedder, self.input_type, self.context, tally)
            while error is None and send.any():
                error, send = await self._send(scanned, send, times, failures, tally=tally, room=room)
            return error or not_done(left)
        finally:
            await self.keep_failures(scanned, failures, tally)

    async def _send(
        self,
        scanned: Scan,
        send: NDArray[np.bool_],
        times: NDArray[np.int64],
        failures: dict[int, EmbedFailure],
        *,
        tally: Tally,
        room: Room,
    ) -> tuple[AsyncrunError | None, NDArray[np.bool_]]:
        """Send what no other job is sending, then wait for those. Returns an error that ended it, and what is still to be sent."""

        def received(batch: Batch, answer: Embedded) -> AsyncrunError | None:
            tally.add(
                ok=sum(int(times[batch[position].ordinal]) for position in answer.positions),
                truncated=sum(int(times[batch[position].ordinal]) for position in answer.truncated),
            )
            tally.spend(answer.waits)
            failures.update((batch[failure.position].ordinal, failure) for failure in answer.failures)
            failed = len(scanned.failures) + sum(int(times[ordinal]) for ordinal in failures)
            return tally.too_many(more=failed) if answer.failures else None

        ordinals = np.flatnonzero(send)
        async with self.context.claims.claim(self.space.fingerprint, scanned.raw_keys_of(ordinals)) as share:
            mine = np.zeros_like(send)
            mine[ordinals[share.mine]] = True
            pending = self.pending(scanned, mine) if mine.any() else ()
            send_some = partial(send_all, embedder=self.embedder, input_type=self.input_type, context=self.context)
            error = await send_some(pending, received, used=tally.use, room=room)
            share.own.failed.update((scanned.key(ordinal), failure) for ordinal, failure in failures.items())
        if error is not None or not share.others:
            return error, np.zeros_like(send)
        try:
            async with asyncio.timeout(self.context.seconds_left()):
                return None, await self._await_others(scanned, ordinals[~share.mine], share, times=times, failures=failures, tally=tally)
        except TimeoutError:
            return self.context.stopped(), np.zeros_like(send)

    async def _await_others(
        self,
        scanned: Scan,
        ordinals: NDArray[np.intp],
        share: Share,
        *,
        times: NDArray[np.int64],
        failures: dict[int, EmbedFailure],
        tally: Tally,
    ) -> NDArray[np.bool_]:
        """Wait for what other jobs are sending, and count it; returns what they have left undone."""
        failed = await share.wait()
        index = await asyncio.to_thread(self.index)
        positions = index.find(scanned.keys[ordinals])
        found = positions >= 0
        done = times[ordinals[found]]
        truncated = index.flags(positions[found]) & TRUNCATED > 0
        tally.add(ok=int(done.sum()), cached=int(done.sum()), truncated=int(done[truncated].sum()))
        undone = np.zeros(len(scanned), dtype=bool)
        for ordinal in ordinals[~found].tolist():
            failure = failed.get(scanned.key(ordinal))
            if failure is not None:
                failures[ordinal] = failure
            else:
                undone[ordinal] = True
        return undone

    def present(self, scanned: Scan, index: KeyIndex) -> str:
        """Return a word for which items are finished."""
        finished = scanned.ready & (scanned.positions(index) >= 0)
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

    def pending(self, scanned: Scan, send: NDArray[np.bool_]) -> Iterator[Pending]:
        """Yield the texts of these items, in input order. Blocks."""
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
        if self.context.limit is not None:
            known += await asyncio.to_thread(self._beyond_limit)
        await self.context.ledger.set_failures(self.context.failures, known)

    def _beyond_limit(self) -> list[KnownFailure]:
        """Return the failures of an earlier run whose items this one does not see."""
        seen = {item.id for item in self.source.items()}
        return [known for name, known in self.context.ledger.failures(self.context.failures).items() if name not in seen]

    def _failed(self, scanned: Scan, by_key: dict[bytes, EmbedFailure]) -> Iterator[KnownFailure]:
        space = self.space.fingerprint
        for ordinal, item in self._ready(scanned):
            failure = by_key.get(scanned.key(ordinal))
            if failure is not None:
                yield KnownFailure(
                    ItemFailure(item.id, item.place, failure.reason, failure.message, failure.attempts), space, scanned.key(ordinal)
                )
