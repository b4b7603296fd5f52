"""The items of a job: passed over, looked up in the ledger, planned, and given with their vectors in input order."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.embedders.interface import Embedder, Empty
from asyncrun.errors import DamagedStateError
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.disk_space import DiskCheck, ledger_bytes, output_bytes
from asyncrun.jobs.notes import change_notes, file_notes, input_notes
from asyncrun.jobs.outputs import JobOutput
from asyncrun.jobs.scan import Scan, scan
from asyncrun.jobs.space_check import needs_probe, probe_of
from asyncrun.jobs.unfinished_texts import UnfinishedTexts
from asyncrun.ledger.job_records import known_failures
from asyncrun.ledger.key_index import KeyIndex
from asyncrun.ledger.spaces import known_dimensions
from asyncrun.readers.distinct_items import DistinctSource, changed_input
from asyncrun.records import InputType, Item, Pending, Space, text_key
from asyncrun.results import JobPlan
from asyncrun.usage import cost_of

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

    def scan(self, texts: UnfinishedTexts | None = None, *, embeds: bool = True) -> Scan:
        """Pass over the input once, and keep what is not finished in `texts`. Blocks. Raises as the input does, and StorageError.

        Where nothing is embedded, what failed to be embedded before does not matter.
        """
        known = known_failures(self.context.ledger, self.context.job_id) if embeds else {}
        return scan(
            self.context.unless_stopped(self.source.items(self.context.stopped)),
            as_sent=lambda text: self.embedder.as_sent(text, self.input_type),
            space=self.space.fingerprint,
            known=known,
            skip=self.context.skip,
            skip_empty=self.on_empty == "skip",
            only=self.context.options.retry.select(known) if self.context.options.retry is not None and embeds else None,
            texts=texts if embeds else None,
        )

    @asynccontextmanager
    async def unfinished_texts(self) -> AsyncIterator[UnfinishedTexts]:
        """Give the place for the texts that are not finished, which a scan fills; it ends with the block."""
        index = await asyncio.to_thread(self.index)
        async with self.context.spool() as spool:
            yield UnfinishedTexts(spool, index)

    def index(self) -> KeyIndex:
        """Return what is finished in the space of these items, for the job's generation. Blocks."""
        return self.context.ledger.index(self.space, self.context.generation.since)

    def whole_index(self) -> KeyIndex:
        """Return the same for one who only looks. Blocks. Raises DamagedStateError where something of it is damaged."""
        index = self.index()
        if self.context.ledger.left_out:
            raise DamagedStateError(
                "the ledger is damaged: rows that are finished do not fit their checksums", hint="`asyncrun run` sends what is lost again."
            )
        return index

    def disk(self, scanned: Scan, index: KeyIndex, output: JobOutput) -> dict[Path, int] | None:
        """Return how many bytes a run needs in the ledger's and the output's folder, None when that is not known. Blocks."""
        dimensions = self.embedder.dimensions or known_dimensions(self.context.ledger, self.space)
        if dimensions is None:
            return None
        send, _ = scanned.missing(index)
        needs = {self.context.ledger.folder: ledger_bytes(int(np.count_nonzero(send)), dimensions)}
        if output.path is not None and send.any():
            rows, text = int(np.count_nonzero(scanned.ready)), int(scanned.sizes[scanned.ready].sum())
            folder = output.path.parent
            # The rows of questions hold hits, whose size nobody knows before the search.
            in_rows = dimensions if self.input_type is InputType.DOCUMENT else 0
            needs[folder] = needs.get(folder, 0) + output_bytes(rows, in_rows, text, output.form.split()[0])
        return needs

    def prepare(self, scanned: Scan, index: KeyIndex, disk_check: DiskCheck) -> Sequence[str]:
        """Return what to say before items are sent, after finding out whether they fit on the disk. Blocks. Raises StorageError."""
        send, _ = scanned.missing(index)
        if not send.any():
            return ()
        price = self.embedder.price_per_million_tokens
        cost = None if price is None else cost_of(self.context.rate.of(scanned.sizes[send].tolist()), price)
        disk_check.check()
        unfinished = int(np.count_nonzero(scanned.unfinished(index)))
        return *change_notes(self.context, self.space, unfinished, cost), *file_notes(self.source)

    def present(self, scanned: Scan, index: KeyIndex) -> str:
        """Return a word for which items are finished."""
        return hashlib.blake2b(np.packbits(self.finished(scanned, index)).tobytes(), digest_size=16).hexdigest()

    def finished(self, scanned: Scan, index: KeyIndex) -> NDArray[np.bool_]:
        """Return which items are finished; shape (n,)."""
        return scanned.ready & (scanned.positions(index) >= 0)

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
        for ordinal, item in enumerate(self.source.items(self.context.stopped)):
            if ordinal >= len(scanned):
                raise changed_input(item.place.file)
            if not ready[ordinal]:
                continue
            key = text_key(self.embedder.as_sent(item.text, self.input_type)) if isinstance(item, Item) else b""
            if not isinstance(item, Item) or key != scanned.key(ordinal):
                raise changed_input(item.place.file)
            yield ordinal, item
        if ordinal + 1 != len(scanned):
            raise changed_input("the input")

    def pending(self, scanned: Scan, send: NDArray[np.bool_]) -> Iterator[Pending]:
        """Yield the texts of these items, in input order, read from the input again, as a plan does that keeps none. Blocks."""
        for ordinal, item in self._ready(scanned):
            if send[ordinal]:
                yield Pending(scanned.key(ordinal), item.text, int(scanned.sizes[ordinal]), ordinal)


def plan_items(items: Items, kind: str, scanned: Scan, index: KeyIndex, output: JobOutput) -> JobPlan:
    """Return the plan of a job whose items are its requests' texts. Blocks."""
    context = items.context
    send, _ = scanned.missing(index)
    new = int(np.count_nonzero(scanned.unfinished(index)))
    plan = JobPlan(
        name=context.name,
        kind=kind,
        items=len(scanned),
        new=new,
        unchanged=int(np.count_nonzero(scanned.ready)) - new,
        failed=scanned.failed,
        skipped=scanned.skipped,
    )
    rounds = [*probes_foreseen(items.embedder, items.input_type, context), _unforeseen(items, scanned, send)] if new else []
    disk = items.disk(scanned, index, output)
    plan = replace(plan, disk=None if disk is None else sum(disk.values()))
    plan, _ = context.forecast.foresee(plan, rounds, items.embedder, items.input_type, context.rate)
    return plan.noted(*change_notes(context, items.space, new, plan.cost), *input_notes(items.source))


def probes_foreseen(embedder: Embedder, input_type: InputType, context: JobContext) -> list[list[Pending]]:
    """Return the request by which a run compares the embedder's place with others of its space, if it makes one. Blocks."""
    if not needs_probe(embedder, input_type, context) or not context.forecast.compares(embedder.space(input_type), embedder.served_by):
        return []
    return [[probe_of(embedder, input_type)]]


def _unforeseen(items: Items, scanned: Scan, send: NDArray[np.bool_]) -> Iterator[Pending]:
    return items.context.forecast.unforeseen(items.space, items.context.unless_stopped(items.pending(scanned, send)))
