"""The kind `ingest`: documents in; their chunks, embedded, into a store, a document wholly or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from asyncrun.chunkers.interface import Chunker
from asyncrun.embedders.interface import Embedder, Empty
from asyncrun.errors import AsyncrunError, RefusedDeletionError, TryLaterError
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.disk_space import DiskCheck, ledger_bytes
from asyncrun.jobs.forecast import load_of
from asyncrun.jobs.ingest.documents import ChunkedDocument, DocumentScan, document_mark, load_after, rounds, scan_documents
from asyncrun.jobs.ingest.store_sync import StoreSync
from asyncrun.jobs.items import probes_foreseen
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.notes import change_notes, input_notes, skipped_files_notes
from asyncrun.jobs.run_options import unsent_error
from asyncrun.jobs.send_batches import Batch, send_all
from asyncrun.jobs.space_check import check_endpoint
from asyncrun.jobs.unfinished_texts import Spool
from asyncrun.ledger.job_records import KnownFailure, known_failures
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.ledger.spaces import known_dimensions, newest_batch
from asyncrun.ports import Progress
from asyncrun.readers.distinct_items import DistinctSource, changed_input
from asyncrun.records import Embedded, EmbedFailure, InputType, Item, Pending, Space, text_key
from asyncrun.results import JobPlan, JobResult
from asyncrun.usage import Load


@dataclass(frozen=True, slots=True, eq=False)
class IngestRun:
    """One ingest job, wired. `made_with` stands for how documents are cut."""

    source: DistinctSource
    embedder: Embedder
    chunker: Chunker
    made_with: str
    sync: StoreSync
    on_empty: Empty
    context: JobContext

    async def plan(self) -> JobPlan:
        """Say what a run would do: documents are cut as a run cuts them, in the same rounds. Raises what would end a run at its start."""
        await asyncio.to_thread(self.sync.check_space, self.embedder)
        found = await asyncio.to_thread(self._scan)
        changed, refusal = len(found.marks), self._refusal(found)
        plan = JobPlan(
            name=self.context.name,
            kind="ingest",
            items=found.items,
            new=found.new,
            changed=changed - found.new,
            unchanged=found.unchanged,
            delete=len(found.gone) if self.sync.prunes else 0,
            failed=len(found.failures),
            skipped=found.skipped,
            notes=(*input_notes(self.source), *([] if refusal is None else [f"a run is refused: {refusal}"])),
        )
        plan = await asyncio.to_thread(self._foresee, plan, found)
        return plan.noted(*await asyncio.to_thread(change_notes, self.context, self._space, changed, plan.cost))

    def _prepare(self, changed: int, disk_check: DiskCheck) -> Sequence[str]:
        """Return what to say before documents are sent, after finding out whether they can be stored. Blocks. Raises StorageError."""
        if changed and self.sync.changes:
            self.sync.check_writable()
        disk_check.check()
        return *change_notes(self.context, self._space, changed, None), *(skipped_files_notes(self.source) if changed else ())

    def _disk(self, chunks: int) -> dict[Path, int] | None:
        """Return what so many chunks take in the ledger's folder, None before the size of a vector is known. Blocks."""
        dimensions = self.embedder.dimensions or known_dimensions(self.context.ledger, self._space)
        return None if dimensions is None else {self.context.ledger.folder: ledger_bytes(chunks, dimensions)}

    def _foresee(self, plan: JobPlan, found: DocumentScan) -> JobPlan:
        """Return the plan with what a run would send. Blocks."""
        index, forecast = self._index(), self.context.forecast
        cut = self._rounds_of(self._changed(found)) if found.marks else iter(())
        sent = (list(forecast.unforeseen(self._space, self._missing(documents, index))) for documents in self.context.unless_stopped(cut))
        probes = probes_foreseen(self.embedder, InputType.DOCUMENT, self.context) if found.marks else []
        plan, chunks = forecast.foresee(plan, chain(probes, sent), self.embedder, InputType.DOCUMENT, self.context.rate)
        disk = self._disk(chunks)
        return replace(plan, disk=None if disk is None else sum(disk.values()))

    async def run(self, progress: Progress) -> JobResult:
        """Embed and commit what is new or changed, then remove what has left the input if the job says so."""
        counters = JobCounters(self.context, "ingest", progress)
        try:
            repaired = await asyncio.to_thread(self.sync.repair)
            await asyncio.to_thread(self.sync.check_space, self.embedder)
            async with self.context.spool() as changed:
                found = await asyncio.to_thread(self._scan, lambda item, mark: changed.add([(item, mark)]))
                counters.start(found.items)
                counters.say([*repaired, *map(str, self.source.missing)])
                if (refusal := self._refusal(found)) is not None:
                    raise refusal
                # A document has a chunk at least; how many it really has is known when it is cut.
                disk_check = DiskCheck(lambda: self._disk(len(found.marks)), self.context.free_space)
                counters.say(await asyncio.to_thread(self._prepare, len(found.marks), disk_check))
                error = await self._commit_changed(found, changed, counters, disk_check) or counters.too_many()
            if error is None:
                await self.sync.prune(found.gone, counters)
                error = unsent_error(found.left) or counters.unfinished()
            if error is None:
                await asyncio.to_thread(self.sync.seal)
        except AsyncrunError as raised:
            error = raised
        error = await self.context.finish(self._space, error)
        return counters.result(limits=self.embedder.rate_limits, output=self.sync.target.collection, error=error)

    @property
    def _made_with(self) -> str:
        generation = self.context.generation.number
        return f"{self.made_with} {self._space.fingerprint}" + (f" {generation}" if generation else "")

    @property
    def _space(self) -> Space:
        return self.embedder.space(InputType.DOCUMENT)

    def _index(self) -> KeyIndex:
        return self.context.ledger.index(self._space, self.context.generation.since)

    def _scan(self, keep: Callable[[Item, str], object] = lambda item, mark: None) -> DocumentScan:
        known = known_failures(self.context.ledger, self.context.job_id)
        return scan_documents(
            self.context.unless_stopped(self.source.items()),
            stored=self.sync.marks(),
            made_with=self._made_with,
            known=known,
            skip=self.context.skip,
            skip_empty=self.on_empty == "skip",
            only=None if self.context.options.retry is None else self.context.options.retry.select(known),
            keep=keep,
        )

    def _refusal(self, found: DocumentScan) -> RefusedDeletionError | None:
        """Return the error of a run that would delete more documents than may be, None for one that would not."""
        stored = found.unchanged + len(found.marks) - found.new + len(found.gone)
        allowed = self.sync.target.max_delete.of(stored)
        if not self.sync.prunes or len(found.gone) <= allowed:
            return None
        return RefusedDeletionError(
            f"{len(found.gone)} of {stored} documents of {self.sync.target.source!r} left the input, {allowed} may be deleted (max_delete)"
        )

    async def _commit_changed(
        self, found: DocumentScan, changed: Spool[tuple[Item, str]], counters: JobCounters, disk_check: DiskCheck
    ) -> AsyncrunError | None:
        counters.add(ok=found.unchanged, cached=found.unchanged, skipped=found.skipped)
        kept = list(found.failures)
        for known in kept:
            counters.fail(known.failure)
        try:
            if not found.marks:
                return None
            return await self._rounds(changed, found.length, counters, kept, disk_check)
        finally:
            if self.sync.changes:
                await self.context.keep_failures(kept)

    async def _rounds(
        self, changed: Spool[tuple[Item, str]], length: int, counters: JobCounters, kept: list[KnownFailure], disk_check: DiskCheck
    ) -> AsyncrunError | None:
        await check_endpoint(self.embedder, InputType.DOCUMENT, counters)
        before = await asyncio.to_thread(known_failures, self.context.ledger, self.context.job_id)
        todo, failures = self._rounds_of(changed), dict[bytes, EmbedFailure]()
        while documents := await asyncio.to_thread(next, todo, None):
            length -= sum(len(document.item.text) for document in documents)
            error = await self._send(documents, failures, counters, disk_check, load_after(documents, self.embedder, length))
            index = await asyncio.to_thread(self._index)
            for known in await self.sync.commit(documents, failures, index, self._space, counters):
                kept.append(counters.with_doubt(known, before.get(known.failure.id)))
                counters.fail(known.failure)
            if error := error or counters.too_many() or self.context.stopped():
                return error
        return None

    def _rounds_of(self, documents: Iterable[tuple[Item, str]]) -> Iterator[list[ChunkedDocument]]:
        workers = self.context.workers or self.embedder.workers
        return rounds(documents, self.chunker, self._key, workers=workers, max_items=self.embedder.batch.max_items)

    def _changed(self, found: DocumentScan) -> Iterator[tuple[Item, str]]:
        """Yield the new and the changed documents with their marks, read again. Raises StorageError when they are not what the scan saw."""
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
