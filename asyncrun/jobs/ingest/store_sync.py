"""What an ingest job does to its store: documents whose chunks are all finished go in, those that have left the input go out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asyncrun.aio.worker_state import waiting
from asyncrun.callbacks.schema import CBEventType
from asyncrun.embedders.interface import Embedder
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.ingest.documents import ChunkedDocument
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.space_check import check_space
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.records import EmbedFailure, ItemFailure, Space
from asyncrun.stores.interface import Collection, RepairableStore, StoredDocument, VectorStore
from asyncrun.usage import Waits

COMMITTED_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class StoreTarget:
    """Where documents go: `source` owns them; of the stored ones at most `max_delete` may be removed in one run."""

    collection: str
    source: str
    prune: bool
    max_delete: Threshold


@dataclass(frozen=True, slots=True, eq=False)
class StoreSync:
    """The place of a job's documents in its store. `check_writable` raises StorageError for a store that cannot be written."""

    store: VectorStore
    target: StoreTarget
    context: JobContext
    check_writable: Callable[[], None]

    @property
    def changes(self) -> bool:
        """Whether the store is changed: a run of the first items leaves it alone."""
        return self.context.options.limit is None

    @property
    def prunes(self) -> bool:
        """Whether documents that have left the input go out."""
        return self.target.prune and self.changes and self.context.options.retry is None

    def check_space(self, embedder: Embedder) -> None:
        """Raise SpaceMismatchError when what is stored is of another space than the embedder's. Blocks."""
        check_space(self.store, self.target.collection, embedder, self.context.ledger)

    def repair(self) -> list[str]:
        """Have the store prove the collection before anything else is read of it; returns what to say about it. Blocks."""
        if not isinstance(self.store, RepairableStore) or not self.changes:
            return []
        repaired = self.store.repair(self.target.collection)
        return [] if repaired is None else [f"{repaired}. What is missing is put in again from the ledger"]

    def seal(self) -> None:
        """Have the store note that every document of the input is in it, or has failed. Blocks."""
        if isinstance(self.store, RepairableStore) and self.changes and self.context.options.retry is None:
            self.store.seal(self.target.collection, self.target.source)

    def marks(self) -> dict[str, str]:
        """Return what the stored documents were made from, by their ids. Blocks."""
        return self.store.marks(self.target.collection, self.target.source)

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
            answers = [failures[key] for key in document.keys if key in failures]
            if answers:
                failure = ItemFailure(document.item.id, document.item.place, answers[0].reason, answers[0].message, answers[0].attempts)
                failed.append(KnownFailure(failure, "", document.mark.encode()))
            else:
                whole.append(document)
        with self.context.manager.event(CBEventType.NODE_PARSING, payload={"name": self.target.collection, "items": len(whole)}) as event:
            spent = Waits()
            for start in range(0, len(whole), COMMITTED_TOGETHER):
                with waiting("store", idle=False):
                    ok, writing = await asyncio.to_thread(self._put, whole[start : start + COMMITTED_TOGETHER], index, space)
                counters.add(ok=ok)
                spent += Waits(store=writing)
            counters.spend(spent)
            event.on_end(payload=spent.payload())
        return failed

    async def prune(self, gone: Sequence[str], counters: JobCounters) -> None:
        """Remove documents that have left the input, if the job says so."""
        if self.prunes and gone:
            await asyncio.to_thread(self.store.remove, self.target.collection, self.target.source, gone)
            counters.add(removed=len(gone))

    def _put(self, documents: Sequence[ChunkedDocument], index: KeyIndex, space: Space) -> tuple[int, float]:
        """Commit those documents whose vectors are all in the ledger; returns how many, and the seconds that the store took."""
        stored = list(self._with_vectors(documents, index))
        started = self.context.clock.monotonic()
        if stored and self.changes:
            dimensions = next((document.vectors.shape[1] for document in stored if len(document.chunks)), 0)
            self.store.open_collection(Collection(self.target.collection, space.fingerprint, dimensions))
            self.store.commit(self.target.collection, self.target.source, stored)
        return len(stored), self.context.clock.monotonic() - started

    def _with_vectors(self, documents: Sequence[ChunkedDocument], index: KeyIndex) -> Iterator[StoredDocument]:
        for document in documents:
            positions = index.find(keys_array(b"".join(document.keys)))
            if (positions >= 0).all():
                vectors = self.context.ledger.vectors(index, positions)
                matrix = np.stack(vectors) if vectors else np.empty((0, 0), dtype=np.float32)
                yield StoredDocument(document.item.id, document.mark, document.chunks, matrix, document.item.metadata)
