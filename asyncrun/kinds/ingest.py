"""The kind `ingest`: documents in; their chunks, embedded, into a store, a document wholly or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from asyncrun.callbacks.schema import CBEventType
from asyncrun.chunkers.interface import Chunker
from asyncrun.embedders.interface import Embedder, Empty
from asyncrun.errors import AsyncrunError, RefusedDeletionError, SpaceMismatchError
from asyncrun.jobfile.values import Threshold
from asyncrun.kinds.chunked import ChunkedDocument, rounds
from asyncrun.kinds.context import JobContext
from asyncrun.kinds.distinct import DistinctSource, changed_input
from asyncrun.kinds.documents import DocumentScan, document_mark, scan_documents
from asyncrun.kinds.ledgered import Pending
from asyncrun.kinds.planning import plan_requests
from asyncrun.kinds.sending import Batch, send_all
from asyncrun.kinds.tally import Tally
from asyncrun.ledger.index import KeyIndex, keys_array
from asyncrun.ledger.ledger import KnownFailure
from asyncrun.ports import Progress
from asyncrun.records import Embedded, EmbedFailure, InputType, Item, ItemFailure, JobPlan, JobResult, Space, content_key
from asyncrun.stores.interface import Collection, Store, StoredDocument

COMMITTED_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class Target:
    """Where documents go: `source` owns them; of the stored ones at most `max_delete` may be removed in one run."""

    collection: str
    source: str
    prune: bool
    max_delete: Threshold


@dataclass(frozen=True, slots=True, eq=False)
class IngestKind:
    """One ingest job, wired. `made_with` stands for how documents are cut."""

    source: DistinctSource
    embedder: Embedder
    chunker: Chunker
    made_with: str
    store: Store
    target: Target
    on_empty: Empty
    context: JobContext

    async def plan(self) -> JobPlan:
        """Say what a run would do; requests and tokens are estimates, since nothing is cut yet."""
        found = await asyncio.to_thread(self._scan)
        changed = len(found.marks)
        requests, tokens, cost = plan_requests([found.size // changed] * changed if changed else [], self.embedder)
        return JobPlan(
            name=self.context.name,
            kind="ingest",
            items=found.items,
            new=found.new,
            changed=changed - found.new,
            unchanged=found.unchanged,
            delete=len(found.gone) if self.target.prune else 0,
            failed=len(found.failures),
            requests=requests,
            tokens=tokens,
            cost=cost,
        )

    async def run(self, progress: Progress) -> JobResult:
        """Embed and commit what is new or changed, then remove what has left the input if the job says so."""
        tally = Tally(self.context, "ingest", progress)
        try:
            await asyncio.to_thread(self._check_space)
            found = await asyncio.to_thread(self._scan)
            tally.start(found.items)
            self._check_deletion(found)
            error = await self._commit_changed(found, tally) or tally.too_many()
            if error is None:
                await self._prune(found, tally)
        except AsyncrunError as raised:
            error = raised
        return tally.result(output=self.target.collection, error=error)

    @property
    def _made_with(self) -> str:
        return f"{self.made_with} {self._space.fingerprint}"

    @property
    def _space(self) -> Space:
        return self.embedder.space(InputType.DOCUMENT)

    def _scan(self) -> DocumentScan:
        return scan_documents(
            self.context.unless_stopped(self.source.items()),
            stored=self.store.marks(self.target.collection, self.target.source),
            made_with=self._made_with,
            known=self.context.ledger.failures(self.context.failures),
            skip=self.context.skip,
            skip_empty=self.on_empty == "skip",
        )

    def _check_space(self) -> None:
        stored = self.store.fingerprint(self.target.collection)
        if stored not in (None, self._space.fingerprint):
            raise SpaceMismatchError(
                f"the collection {self.target.collection!r} was filled by another embedder than {self.embedder.provider}"
                f"/{self.embedder.model_name}"
            )

    def _check_deletion(self, found: DocumentScan) -> None:
        stored = found.unchanged + len(found.marks) - found.new + len(found.gone)
        allowed = self.target.max_delete.of(stored)
        if self.target.prune and len(found.gone) > allowed:
            raise RefusedDeletionError(
                f"{len(found.gone)} of {stored} documents of {self.target.source!r} left the input, {allowed} may be deleted (max_delete)"
            )

    async def _commit_changed(self, found: DocumentScan, tally: Tally) -> AsyncrunError | None:
        tally.add(ok=found.unchanged, cached=found.unchanged, skipped=found.skipped)
        kept = list(found.failures)
        for known in kept:
            tally.fail(known.failure)
        try:
            if not found.marks:
                return None
            return await self._rounds(found, tally, kept)
        finally:
            await self.context.ledger.set_failures(self.context.failures, kept)

    async def _rounds(self, found: DocumentScan, tally: Tally, kept: list[KnownFailure]) -> AsyncrunError | None:
        changed = self._changed(found)
        workers = self.context.workers or self.embedder.workers
        todo = rounds(changed, self.chunker, self._key, workers=workers, max_items=self.embedder.batch.max_items)
        while documents := await asyncio.to_thread(next, todo, None):
            failures: dict[bytes, EmbedFailure] = {}
            error = await self._send(documents, failures, tally)
            for known in await self._commit(documents, failures, tally):
                # While nothing has been accepted, refusals may be the endpoint's fault: without a key the next run asks again.
                kept.append(known if tally.counts.ok > tally.counts.cached else replace(known, key=b""))
                tally.fail(known.failure)
            if error := error or tally.too_many() or self.context.stopped():
                return error
        return None

    def _changed(self, found: DocumentScan) -> Iterator[tuple[Item, str]]:
        """Yield the new and the changed documents with their marks. Raises StorageError when they are not what the scan saw."""
        count = 0
        for item in self.source.items():
            mark = found.marks.get(item.id)
            if mark is None:
                continue
            if not isinstance(item, Item) or document_mark(item, self._made_with) != mark:
                raise changed_input(item.place.file)
            count += 1
            yield item, mark
        if count != len(found.marks):
            raise changed_input("the input")

    def _key(self, text: str) -> bytes:
        return content_key(self.embedder.as_sent(text, InputType.DOCUMENT))

    async def _send(self, documents: list[ChunkedDocument], failures: dict[bytes, EmbedFailure], tally: Tally) -> AsyncrunError | None:
        """Embed the chunks of a round that are not finished; each different text once."""

        def received(batch: Batch, answer: Embedded) -> None:
            tally.use(answer.usage)
            failures.update((batch[failure.position].key, failure) for failure in answer.failures)

        missing = await asyncio.to_thread(self._missing, documents)
        return await send_all(missing, received, embedder=self.embedder, input_type=InputType.DOCUMENT, context=self.context)

    def _missing(self, documents: list[ChunkedDocument]) -> list[Pending]:
        texts = {key: chunk.text for document in documents for key, chunk in zip(document.keys, document.chunks, strict=True)}
        found = self.context.ledger.index(self._space).find(keys_array(b"".join(texts)))
        return [
            Pending(key, text, len(text.encode()))
            for (key, text), position in zip(texts.items(), found.tolist(), strict=True)
            if position < 0
        ]

    async def _commit(self, documents: list[ChunkedDocument], failures: dict[bytes, EmbedFailure], tally: Tally) -> list[KnownFailure]:
        """Commit the documents whose chunks are all finished; returns those that failed. Others stay as they were."""
        failed = []
        whole = []
        for document in documents:
            answers = [failures[key] for key in document.keys if key in failures]
            if answers:
                failure = ItemFailure(document.item.id, document.item.place, answers[0].reason, answers[0].message, answers[0].attempts)
                failed.append(KnownFailure(failure, "", document.mark.encode()))
            else:
                whole.append(document)
        index = await asyncio.to_thread(self.context.ledger.index, self._space)
        with self.context.manager.event(CBEventType.NODE_PARSING, payload={"name": self.target.collection, "items": len(whole)}):
            for start in range(0, len(whole), COMMITTED_TOGETHER):
                tally.add(ok=await asyncio.to_thread(self._store, whole[start : start + COMMITTED_TOGETHER], index))
        return failed

    def _store(self, documents: list[ChunkedDocument], index: KeyIndex) -> int:
        """Commit those documents whose vectors are all in the ledger; returns how many."""
        stored = list(self._with_vectors(documents, index))
        if stored:
            dimensions = next((document.vectors.shape[1] for document in stored if len(document.chunks)), 0)
            self.store.open_collection(Collection(self.target.collection, self._space.fingerprint, dimensions))
            self.store.commit(self.target.collection, self.target.source, stored)
        return len(stored)

    def _with_vectors(self, documents: list[ChunkedDocument], index: KeyIndex) -> Iterator[StoredDocument]:
        for document in documents:
            positions = index.find(keys_array(b"".join(document.keys)))
            if (positions >= 0).all():
                vectors = self.context.ledger.vectors(index, positions)
                matrix = np.stack(vectors) if vectors else np.empty((0, 0), dtype=np.float32)
                yield StoredDocument(document.item.id, document.mark, document.chunks, matrix, document.item.metadata)

    async def _prune(self, found: DocumentScan, tally: Tally) -> None:
        if self.target.prune and found.gone:
            await asyncio.to_thread(self.store.remove, self.target.collection, self.target.source, found.gone)
            tally.add(removed=len(found.gone))
