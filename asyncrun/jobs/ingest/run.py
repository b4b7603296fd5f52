"""The kind `ingest`: documents in; their chunks, embedded, into a store, a document wholly or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from asyncrun.aio.drawn_ahead import drawn_ahead
from asyncrun.chunkers.interface import Chunker
from asyncrun.embedders.interface import Embedder, Empty
from asyncrun.errors import AsyncrunError, TryLaterError
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.disk_space import DiskCheck, ledger_bytes
from asyncrun.jobs.forecast import load_of
from asyncrun.jobs.ingest.documents import ChunkedDocument, DocumentScan, MadeWith, cut_here, load_after, rounds, scan_documents
from asyncrun.jobs.ingest.store_sync import StoreSync
from asyncrun.jobs.items import probes_foreseen
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.notes import change_notes, file_notes, input_notes
from asyncrun.jobs.run_options import unsent_error
from asyncrun.jobs.send_batches import Batch, send_all
from asyncrun.jobs.space_check import check_endpoint
from asyncrun.jobs.unfinished_texts import Spool
from asyncrun.ledger.job_records import KnownFailure, known_failures
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.ledger.spaces import known_dimensions, newest_batch
from asyncrun.ports import Progress
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.records import Embedded, EmbedFailure, InputType, Item, Pending, Space, text_key
from asyncrun.results import JobPlan, JobResult
from asyncrun.usage import Load

if TYPE_CHECKING:
    from asyncrun.chunkers.worker_chunker import ChunkerPart


@dataclass(frozen=True, slots=True, eq=False)
class IngestRun:
    """One ingest job, wired. `made_with` stands for how documents are cut: by `worker_chunker` where there are workers."""

    source: DistinctSource
    embedder: Embedder
    chunker: Chunker
    made_with: str
    sync: StoreSync
    on_empty: Empty
    context: JobContext
    worker_chunker: ChunkerPart | None = None

    async def plan(self) -> JobPlan:
        """Say what a run would do: documents are cut as a run cuts them, in the same rounds. Raises what would end a run at its start."""
        sync = await asyncio.to_thread(self.sync.settled, self.embedder, self._made_with)
        # There may be no folder of state yet.
        async with self.context.spool(Path(gettempdir())) as todo:
            return await replace(self, sync=sync)._plan(todo)

    async def _plan(self, todo: Spool[tuple[Item, str]]) -> JobPlan:
        found = await asyncio.to_thread(self._scan, lambda item, mark: todo.add([(item, mark)]))
        changed, refusal = len(found.marks), self.sync.refusal(found)
        plan = JobPlan(
            name=self.context.name,
            kind="ingest",
            items=found.items,
            new=found.new,
            changed=changed - found.new,
            unchanged=found.unchanged,
            delete=self.sync.removed(found),
            failed=len(found.failures),
            skipped=found.skipped,
            rebuild=self.sync.next is not None,
            notes=(*input_notes(self.source), *([] if refusal is None else [f"a run is refused: {refusal}"])),
        )
        plan = await asyncio.to_thread(self._foresee, plan, self._rounds_of(todo) if changed else None)
        plan = plan.noted(*await asyncio.to_thread(change_notes, self.context, self._space, changed, plan.cost))
        return plan.noted(*await asyncio.to_thread(self.sync.plan_notes, plan))

    def _prepare(self, changed: int, disk_check: DiskCheck) -> Sequence[str]:
        """Return what to say before documents are sent, after finding out whether they can be stored. Blocks. Raises StorageError."""
        if changed and self.sync.changes and self.sync.check_writable is not None:
            self.sync.check_writable()
        disk_check.check()
        changes = change_notes(self.context, self._space, changed, None)
        return *self.sync.begin(changed), *changes, *(file_notes(self.source) if changed else ())

    def _disk(self, chunks: int) -> dict[Path, int] | None:
        """Return what so many chunks take in the ledger's folder, None before the size of a vector is known. Blocks."""
        dimensions = self.embedder.dimensions or known_dimensions(self.context.ledger, self._space)
        return None if dimensions is None else {self.context.ledger.folder: ledger_bytes(chunks, dimensions)}

    def _foresee(self, plan: JobPlan, cut: Iterator[list[ChunkedDocument]] | None) -> JobPlan:
        """Return the plan with what a run would send. Blocks."""
        index, forecast = self._index(), self.context.forecast
        rounds_cut = self.context.unless_stopped(cut or ())
        sent = (list(forecast.unforeseen(self._space, self._missing(documents, index))) for documents in rounds_cut)
        probes = probes_foreseen(self.embedder, InputType.DOCUMENT, self.context) if cut is not None else []
        plan, chunks = forecast.foresee(plan, chain(probes, sent), self.embedder, InputType.DOCUMENT, self.context.rate)
        disk = self._disk(chunks)
        return replace(plan, disk=None if disk is None else sum(disk.values()))

    async def run(self, progress: Progress) -> JobResult:
        """Embed and commit what is new or changed, then remove what has left the input if the job says so."""
        counters, note = JobCounters(self.context, "ingest", progress), None
        try:
            repaired = await asyncio.to_thread(self.sync.repair)
            sync = await asyncio.to_thread(self.sync.settled, self.embedder, self._made_with)
            note = await replace(self, sync=sync)._fill(repaired, counters)
            error = None
        except AsyncrunError as raised:
            error = raised
        error = await self.context.finish(self._space, error)
        limits = self.embedder.rate_limits
        return counters.result(limits=limits, output=self.sync.target.collection, error=error, note=note)

    async def _fill(self, repaired: Sequence[str], counters: JobCounters) -> str | None:
        """Do what a run does; returns what to say of its end. Raises what ended it."""
        async with self.context.spool() as changed:
            found = await asyncio.to_thread(self._scan, lambda item, mark: changed.add([(item, mark)]))
            counters.start(found.items)
            counters.say([*repaired, *map(str, self.source.missing)])
            if (refusal := self.sync.refusal(found)) is not None:
                raise refusal
            # A document has a chunk at least; how many it really has is known when it is cut.
            disk_check, failed = DiskCheck(lambda: self._disk(len(found.marks)), self.context.free_space), list(found.failures)
            counters.say(await asyncio.to_thread(self._prepare, len(found.marks), disk_check))
            error = await self._commit_changed(found, changed, counters, failed, disk_check) or counters.too_many()
        if error is None:
            await self.sync.prune(found.gone, counters)
            error = unsent_error(found.left) or counters.unfinished()
        if error is not None:
            raise error
        await asyncio.to_thread(self.sync.seal)
        return await asyncio.to_thread(self.sync.finish, found, [known.failure.id for known in failed], counters)

    @property
    def _made_with(self) -> MadeWith:
        prefix = self.embedder.as_sent("", InputType.DOCUMENT)
        return MadeWith(self.made_with, prefix, self._space.fingerprint, self.context.generation.number)

    @property
    def _space(self) -> Space:
        return self.embedder.space(InputType.DOCUMENT)

    def _index(self) -> KeyIndex:
        return self.context.ledger.index(self._space, self.context.generation.since)

    def _scan(self, keep: Callable[[Item, str], object] = lambda item, mark: None) -> DocumentScan:
        known = known_failures(self.context.ledger, self.context.job_id)
        return scan_documents(
            self.sync.storable(self.context.unless_stopped(self.source.items(self.context.stopped))),
            stored=self.sync.marks(),
            made_with=self._made_with,
            known=known,
            skip=self.context.skip,
            skip_empty=self.on_empty == "skip",
            only=None if self.context.options.retry is None else self.context.options.retry.select(known),
            keep=keep,
        )

    async def _commit_changed(
        self,
        found: DocumentScan,
        changed: Spool[tuple[Item, str]],
        counters: JobCounters,
        kept: list[KnownFailure],
        disk_check: DiskCheck,
    ) -> AsyncrunError | None:
        """Send and commit what is new or changed; what fails is added to `kept`. Returns what ended it early."""
        counters.add(ok=found.unchanged, cached=found.unchanged, skipped=found.skipped)
        for known in kept:
            counters.fail(known.failure)
        try:
            if not found.marks:
                return None
            return await self._rounds(changed, found.length, counters, kept, disk_check)
        finally:
            if self.context.options.limit is None:
                await self.context.keep_failures(kept)

    async def _rounds(
        self, changed: Spool[tuple[Item, str]], length: int, counters: JobCounters, kept: list[KnownFailure], disk_check: DiskCheck
    ) -> AsyncrunError | None:
        await check_endpoint(self.embedder, InputType.DOCUMENT, counters)
        before = await asyncio.to_thread(known_failures, self.context.ledger, self.context.job_id)
        failures: dict[bytes, EmbedFailure] = {}
        if "embeddings" in self.context.deliveries:
            from asyncrun.jobs.delivery.items import deliver_texts

            await deliver_texts(self.embedder, InputType.DOCUMENT, counters, partial(self._unfinished, changed), failures)
        async with aclosing(drawn_ahead(self._rounds_of(changed))) as todo:
            async for documents in todo:
                length -= sum(len(document.item.text) for document in documents)
                error = await self._send(documents, failures, counters, disk_check, load_after(documents, self.embedder, length))
                index = await asyncio.to_thread(self._index)
                for known in await self.sync.commit(documents, failures, index, self._space, counters):
                    kept.append(counters.with_doubt(known, before.get(known.failure.id)))
                    counters.fail(known.failure)
                if error := error or counters.too_many() or self.context.stopped():
                    return error
        return None

    def _unfinished(self, changed: Spool[tuple[Item, str]]) -> Iterator[Pending]:
        """Yield the chunks of all documents that are not finished. Blocks."""
        index = self._index()
        for documents in self._rounds_of(changed):
            yield from self._missing(documents, index)

    def _rounds_of(self, documents: Iterable[tuple[Item, str]]) -> Iterator[list[ChunkedDocument]]:
        executor, part = self.context.executor, self.worker_chunker
        if executor is None or part is None:
            cut = cut_here(documents, self.chunker)
        else:
            from asyncrun.jobs.ingest.worker_cutting import cut_by_workers

            cut = cut_by_workers(documents, executor, part, self.context.stopped)
        workers = self.context.workers or self.embedder.workers
        return rounds(cut, self._key, workers=workers, max_items=self.embedder.batch.max_items)

    def _key(self, text: str) -> bytes:
        return text_key(self.embedder.as_sent(text, InputType.DOCUMENT))

    async def _send(
        self,
        documents: list[ChunkedDocument],
        failures: dict[bytes, EmbedFailure],
        counters: JobCounters,
        disk_check: DiskCheck,
        later: Load,
    ) -> AsyncrunError | None:
        """Embed the chunks of a round that are neither finished nor failed, each text once; `later` is what the rounds after it send."""

        def received(batch: Batch, answer: Embedded) -> None:
            counters.spend(answer.waits)
            failures.update((batch[failure.position].key, failure) for failure in answer.failures)

        space = self._space.fingerprint

        def look() -> tuple[int, list[Pending]]:
            newest = newest_batch(self.context.ledger, space)
            return newest, [pending for pending in self._missing(documents, self._index()) if pending.key not in failures]

        while True:
            newest, missing = await asyncio.to_thread(look)
            if not missing:
                return None
            async with self.context.leases.take_texts(space, [pending.key for pending in missing]) as leased:
                mine = [pending for pending, own in zip(missing, leased.mine.tolist(), strict=True) if own]
                if newest != await asyncio.to_thread(newest_batch, self.context.ledger, space):
                    still = {pending.key for pending in (await asyncio.to_thread(look))[1]}
                    mine = [pending for pending in mine if pending.key in still]
                counters.progress.expect(counters.name, load_of([pending.size for pending in mine], self.embedder) + later)
                error = await send_all(
                    mine,
                    received,
                    embedder=self.embedder,
                    input_type=InputType.DOCUMENT,
                    counters=counters,
                    disk_check=disk_check,
                )
                leased.failed.update((each.key, self.context.redacted(failures[each.key])) for each in mine if each.key in failures)
                if error is not None or not leased.others:
                    return error
                try:
                    failures.update(await counters.wait_for(leased))
                except TryLaterError as stopped:
                    return stopped

    def _missing(self, documents: list[ChunkedDocument], index: KeyIndex) -> list[Pending]:
        texts = {key: chunk.text for document in documents for key, chunk in zip(document.keys, document.chunks, strict=True)}
        found = index.find(keys_array(b"".join(texts)))
        return [
            Pending(key, text, len(text.encode()))
            for (key, text), position in zip(texts.items(), found.tolist(), strict=True)
            if position < 0
        ]
