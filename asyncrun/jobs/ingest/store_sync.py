"""What an ingest job does to its store: documents whose chunks are all finished go in, those that have left the input go out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from asyncrun.aio.worker_state import waiting
from asyncrun.callbacks.schema import CBEventType
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import RefusedDeletionError
from asyncrun.humanize import counted, dollars, duration
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.ingest.documents import ChunkedDocument, DocumentScan, MadeWith
from asyncrun.jobs.ingest.next_generation import NextGeneration, find_generation
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.space_check import check_space
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.process_locks import hold_folder
from asyncrun.records import BadItem, EmbedFailure, Item, ItemFailure, Space
from asyncrun.results import JobPlan
from asyncrun.state_folder import LOCKS
from asyncrun.stores.committing import by_transaction
from asyncrun.stores.generations import rebuildable
from asyncrun.stores.interface import REBUILT, Collection, RepairableStore, SelectiveStore, StoredDocument, VectorStore
from asyncrun.usage import Waits

SWAP_TIMEOUT = 600.0
"""Seconds for which a swap waits for jobs that write to what it swaps, and these for a swap: each may look through a large collection."""


@dataclass(frozen=True, slots=True)
class StoreTarget:
    """Where documents go: `source` owns them; of the stored ones at most `max_delete` may be removed in one run.

    `rebuilds`: a collection that was made in another way is filled anew beside itself. `fillers` are the commands that fill its sources.
    """

    collection: str
    source: str
    prune: bool
    max_delete: Threshold
    rebuilds: bool = False
    fillers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class StoreSync:
    """The place of a job's documents in its store.

    `check_writable` raises StorageError for a file that cannot be written; None where the store is no file of ours. `generation` is None
    until it is known what the collection was made with, and for a job that never rebuilds.
    """

    store: VectorStore
    target: StoreTarget
    context: JobContext
    check_writable: Callable[[], None] | None
    generation: NextGeneration | None = None

    @property
    def changes(self) -> bool:
        """Whether the store is changed: a run of some of the items leaves it alone."""
        return not self.context.options.is_partial

    @property
    def prunes(self) -> bool:
        """Whether documents that have left the input go out."""
        return self.target.prune and self.changes and self.context.options.retry is None

    @property
    def next(self) -> NextGeneration | None:
        """Return the next generation where it is filled, None where the collection itself is."""
        return self.generation if self.generation is not None and self.generation.choice.rebuilds else None

    def settled(self, embedder: Embedder, made_with: MadeWith) -> StoreSync:
        """Return it with the generation that is filled. Blocks. Raises SpaceMismatchError where that cannot be."""
        if not self.target.rebuilds:
            check_space(self.store, self.target.collection, embedder, self.context.ledger)
            return self
        store, asked = rebuildable(self.store), self.context.options.rebuild
        found = find_generation(store, self.target.collection, self.target.source, made_with, asked=asked, fillers=self.target.fillers)
        return replace(self, generation=found)

    def begin(self, changed: int) -> list[str]:
        """Make the generation that so many documents go into, before the first one does; returns what to say about it. Blocks."""
        if self.generation is None or not self.changes:
            return []
        self.generation.begin()
        if self.next is None or not changed:
            return []
        name = self.target.collection
        return [f"{counted(changed, 'document')} into a new generation of {name!r}; until it is whole the former one is asked"]

    def repair(self) -> list[str]:
        """Have the store prove the collection before anything else is read of it; returns what to say about it. Blocks."""
        if not isinstance(self.store, RepairableStore) or not self.changes:
            return []
        names = [self.target.collection, *([self.target.collection + REBUILT] if self.target.rebuilds else [])]
        repaired = [told for name in names if (told := self.store.repair(name)) is not None]
        return [f"{told}. What is missing is put in again from the ledger" for told in repaired]

    def seal(self) -> None:
        """Have the store note that every document of the input is in it, or has failed. Blocks."""
        if isinstance(self.store, RepairableStore) and self.changes and self.context.options.retry is None:
            with self._filled() as filled:
                self.store.seal(filled, self.target.source)

    def storable(self, items: Iterable[Item | BadItem]) -> Iterator[Item | BadItem]:
        """Yield items, in the place of those that the store cannot hold why it cannot."""
        refusal = self.store.refusal if isinstance(self.store, SelectiveStore) else lambda *_: None
        for item in items:
            why = refusal(item.id, item.text, item.metadata) if isinstance(item, Item) else None
            yield item if why is None else BadItem(item.id, item.place, "bad_text", why)

    def marks(self) -> Mapping[str, str]:
        """Return what the documents of the generation that is filled were made from, by their ids. Blocks."""
        if self.generation is not None:
            return self.generation.stored
        return self.store.marks(self.target.collection, self.target.source)

    def refusal(self, found: DocumentScan) -> RefusedDeletionError | None:
        """Return the error of a run that would take more documents out of what is asked than may be, None for one that would not."""
        if self.next is not None:
            if not self.changes or self.context.options.retry is not None:
                return None
            return self.next.refusal(self._left_out(self.next, found, ()), self.target.max_delete)
        stored = found.unchanged + len(found.marks) - found.new + len(found.gone)
        allowed = self.target.max_delete.of(stored)
        if not self.prunes or len(found.gone) <= allowed:
            return None
        return RefusedDeletionError(
            f"{len(found.gone)} of {stored} documents of {self.target.source!r} left the input, {allowed} may be deleted (max_delete)"
        )

    def removed(self, found: DocumentScan) -> int:
        """Return how many documents leave what is asked."""
        if not self.changes:
            return 0
        if self.next is not None:
            return len(self._left_out(self.next, found, ()))
        return len(found.gone) if self.prunes else 0

    def plan_notes(self, plan: JobPlan) -> tuple[str, ...]:
        """Return what to say of a plan that fills a next generation, nothing of another one. Blocks."""
        if self.next is None or not self.changes:
            return ()
        name, waits = self.target.collection, self.next.missing(planned=True)
        waits.pop(self.target.source, None)
        money = [] if plan.cost is None else [dollars(plan.cost)]
        time = [] if plan.seconds is None else [duration(plan.seconds)]
        what = ", ".join([f"{counted(plan.new + plan.changed, 'document')} into a new generation of {name!r}", *money, *time])
        place = "the place of the one that is asked, in one step"
        others = self.next.awaited(waits)
        return (f"{what}; with {others} it takes {place}" if others else f"{what}; then it takes {place}",)

    def _left_out(self, generation: NextGeneration, found: DocumentScan, failed: Iterable[str]) -> set[str]:
        gone = found.gone if self.prunes else ()
        return generation.left_out(set(generation.stored) - set(gone), found.marks, failed)

    def finish(self, found: DocumentScan, failed: Iterable[str], counters: JobCounters) -> str | None:
        """Put the next generation in its place if it is whole; returns a sentence about it, None where none was filled. Blocks.

        Raises RefusedDeletionError when it goes without more documents than may be, and TryLaterError.
        """
        if self.next is None or not self.changes:
            return None
        name, left_out = self.target.collection, self._left_out(self.next, found, failed)
        # Two jobs that end together: the second one finds it done.
        with hold_folder(self.context.ledger.folder / LOCKS, SWAP_TIMEOUT):
            if self.next.is_over():
                swapped = self.store.fingerprint(name) == self.next.made_with.space
                return f"the new generation of {name!r} has taken its place" if swapped else None
            if (refusal := self.next.refusal(left_out, self.target.max_delete)) is not None:
                raise refusal
            missing = self.next.lacks(left_out)
            if any(missing.values()):
                return f"the new generation of {name!r} does not take its place yet: it waits for {self.next.awaited(missing)}"
            with self.context.manager.event(CBEventType.ASYNC_JOB, payload={"name": f"swap {name}"}):
                self.next.take_place(missing)
        counters.add(removed=len(left_out))
        without = f" without {counted(len(left_out), 'document')} of the former one" if left_out else ""
        return f"the new generation of {name!r} has taken its place{without}; `asyncrun store rollback` goes back"

    @contextmanager
    def _filled(self) -> Iterator[str]:
        """Give the name of the collection that is filled; no job of this folder swaps it while the block runs. Blocks."""
        if self.next is None:
            yield self.target.collection
            return
        with hold_folder(self.context.ledger.folder / LOCKS, SWAP_TIMEOUT, shared=True):
            yield self.next.filled()

    def _remove(self, gone: Sequence[str]) -> None:
        with self._filled() as filled:
            self.store.remove(filled, self.target.source, gone)

    async def commit(
        self,
        documents: Sequence[ChunkedDocument],
        failures: Mapping[bytes, EmbedFailure],
        index: KeyIndex,
        space: Space,
        counters: JobCounters,
    ) -> list[KnownFailure]:
        """Commit the documents whose chunks are all finished; returns those that failed. Others stay as they were."""
        failed, whole = [], []
        for document in documents:
            failure = document.failure or _failure_of(document, failures)
            if failure is not None:
                failed.append(KnownFailure(failure, "", document.mark.encode()))
            else:
                whole.append(document)
        with self.context.manager.event(CBEventType.NODE_PARSING, payload={"name": self.target.collection, "items": len(whole)}) as event:
            spent = Waits()
            for group in by_transaction(whole):
                with waiting("store", idle=False):
                    ok, writing = await asyncio.to_thread(self._put, group, index, space)
                counters.add(ok=ok)
                spent += Waits(store=writing)
            counters.spend(spent)
            event.on_end(payload=spent.payload())
        return failed

    async def prune(self, gone: Sequence[str], counters: JobCounters) -> None:
        """Remove documents that have left the input, if the job says so."""
        if self.prunes and gone:
            await asyncio.to_thread(self._remove, gone)
            # What leaves the next generation has not been asked for yet.
            counters.add(removed=len(gone) if self.next is None else 0)

    def _put(self, documents: Sequence[ChunkedDocument], index: KeyIndex, space: Space) -> tuple[int, float]:
        """Commit those documents whose vectors are all in the ledger; returns how many, and the seconds that the store took."""
        stored = list(self._with_vectors(documents, index))
        started = self.context.clock.monotonic()
        if stored and self.changes:
            dimensions = next((document.vectors.shape[1] for document in stored if len(document.chunks)), None)
            with self._filled() as filled:
                if dimensions is not None:
                    self.store.open_collection(Collection(filled, space.fingerprint, dimensions))
                # Before the first chunk there is no size that a collection could be made for.
                if dimensions is not None or self.store.fingerprint(filled) is not None:
                    self.store.commit(filled, self.target.source, stored)
        return len(stored), self.context.clock.monotonic() - started

    def _with_vectors(self, documents: Sequence[ChunkedDocument], index: KeyIndex) -> Iterator[StoredDocument]:
        found = index.find(keys_array(b"".join(key for document in documents for key in document.keys)))
        start = 0
        for document in documents:
            positions = found[start : start + len(document.keys)]
            start += len(document.keys)
            if (positions >= 0).all():
                vectors = self.context.ledger.vectors(index, positions)
                matrix = np.stack(vectors) if vectors else np.empty((0, 0), dtype=np.float32)
                yield StoredDocument(document.item.id, document.mark, document.chunks, matrix, document.item.metadata)


def _failure_of(document: ChunkedDocument, failures: Mapping[bytes, EmbedFailure]) -> ItemFailure | None:
    """Return why a document cannot be stored, by the first of its chunks that failed."""
    answer = next((failures[key] for key in document.keys if key in failures), None)
    item = document.item
    return None if answer is None else ItemFailure(item.id, item.place, answer.reason, answer.message, answer.attempts)
