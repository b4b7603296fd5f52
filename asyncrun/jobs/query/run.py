"""The kind `query`: questions in, one row with the best hits for each and with an answer where one is wanted, in input order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.errors import AsyncrunError, DamagedStoreError, JobFailedError, SpaceMismatchError, TryLaterError, UsageError
from asyncrun.jobs.answers import Answers
from asyncrun.jobs.conversations import answered_rows
from asyncrun.jobs.items import Items
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.notes import filter_notes
from asyncrun.jobs.outputs import JobOutput, Row, RowIds, check_rows, new_row_ids
from asyncrun.jobs.query.checks import with_repair_hint
from asyncrun.jobs.query.questions import Answering, Found
from asyncrun.jobs.scan import Scan
from asyncrun.jobs.send_missing import keep_scanned_failures, send_missing
from asyncrun.jobs.space_check import check_space
from asyncrun.jobs.unfinished_texts import UnfinishedTexts
from asyncrun.ledger.job_records import KnownFailure, known_failures
from asyncrun.ledger.key_index import KeyIndex
from asyncrun.ports import Progress
from asyncrun.records import Item
from asyncrun.results import Counts, JobPlan, JobResult
from asyncrun.stores.generations import served_generation
from asyncrun.stores.interface import SearchMode, SearchRequest, VectorStore
from asyncrun.usage import Waits

if TYPE_CHECKING:
    from asyncrun.records import Vectors


@dataclass(frozen=True, slots=True)
class Search:
    """How a question is asked."""

    collection: str
    mode: SearchMode
    top_k: int
    filter: str | None


@dataclass(frozen=True, slots=True, eq=False)
class QueryRun:
    """One query job, wired. Rows: id, query, hits; and answer, citations, finish_reason, usage where it answers.

    `fill_hint` says what to do when the collection is not there, `repair_hint` when it is damaged, `rebuild_hint` when it is of another
    space; None where nothing better is known than what the store says. `rebuilt_by` are the jobs that make it anew before it is asked.
    `filled_fields` are the fields of metadata that jobs of the file fill it with, None where only the documents tell.
    """

    items: Items
    store: VectorStore
    search: Search
    output: JobOutput
    answering: Answering | None = None
    fill_hint: str | None = None
    repair_hint: str | None = None
    rebuild_hint: str | None = None
    rebuilt_by: tuple[str, ...] = ()
    filled_fields: tuple[str, ...] | None = ()

    async def plan(self) -> JobPlan:
        """Say what a run would send; sends nothing. Raises what would end a run at its start."""
        from asyncrun.jobs.query.plan import plan_questions

        with with_repair_hint(self.repair_hint):
            return await asyncio.to_thread(plan_questions, self)

    async def run(self, progress: Progress) -> JobResult:
        """Embed the questions that need it, search, and write the output unless it is up to date."""
        context = self.items.context
        counters = JobCounters(context, "query", progress)
        try:
            await asyncio.to_thread(self.output.check)
            # Before its space is looked at: what is asked later is this generation, or nothing.
            generation = await asyncio.to_thread(self.generation)
            await asyncio.to_thread(self._check_collection)
            async with self.items.unfinished_texts() as texts:
                scanned = await asyncio.to_thread(self.items.scan, texts, embeds=self.search.mode != "keyword")
                counters.start(len(scanned))
                counters.say([*map(str, self.items.source.missing), *await asyncio.to_thread(self.notes_on_filter)])
                if self.answering is None:
                    error, done = await self._send_missing(scanned, texts, counters)
                    if (error := error or counters.too_many()) is None:
                        await self._write(scanned, done, generation)
                else:
                    error = await self._answer(self.answering, scanned, texts, counters, generation)
        except AsyncrunError as raised:
            error = raised
        if isinstance(error, DamagedStoreError):
            error.hint = self.repair_hint or error.hint
        error = await context.finish(self.items.space, error)
        asked = self.items.embedder if self.answering is None else self.answering.llm
        return counters.result(limits=asked.rate_limits, output=self.output.shown, error=error)

    def export(self, output: JobOutput) -> Counts:
        """Write the rows that are done now to another output; sends nothing. Blocks. Returns how many items are ok, of how many."""
        scanned = self.items.scan(embeds=self.search.mode != "keyword")
        with with_repair_hint(self.repair_hint):
            done = self._export(scanned, output)
        return Counts(items=len(scanned), ok=len(done), skipped=scanned.skipped)

    def _export(self, scanned: Scan, output: JobOutput) -> RowIds[int]:
        index, done, generation = self.items.whole_index(), new_row_ids(), self.generation()
        if not self.is_filled():
            output.write_rows((), done)
        elif self.answering is not None:
            found = self.found_unless_stopped(scanned, index, generation)
            output.write_rows(answered_rows(found, self.answering, self.items.context, done), done)
        else:
            done = self._row_ids(scanned, index)
            output.write_rows(self._rows(self.found_unless_stopped(scanned, index, generation)), done)
        return done

    def _row_ids(self, scanned: Scan, index: KeyIndex) -> RowIds[int]:
        """Return which questions can be asked."""
        return scanned.done() if self.search.mode == "keyword" else scanned.row_ids(self.items.finished(scanned, index))

    def is_filled(self) -> bool:
        """Tell whether the collection is there. Raises SpaceMismatchError for one of another space."""
        if self.search.mode != "keyword":
            try:
                check_space(self.store, self.search.collection, self.items.embedder, self.items.context.ledger)
            except SpaceMismatchError as error:
                error.hint = self.rebuild_hint or error.hint
                raise
        return self.store.fingerprint(self.search.collection) is not None

    def notes_on_filter(self) -> tuple[str, ...]:
        """Return what there is to say of a filter that asks for what no document has. Blocks."""
        return filter_notes(self.store, self.search.collection, self.search.filter, self.filled_fields)

    def _check_collection(self) -> None:
        """Fail this job alone: others may have run, so it is no mistake of the call any more."""
        if self.is_filled():
            return
        try:
            self.store.search(self.search.collection, [])
        except UsageError as error:
            raise JobFailedError(error.message, hint=self.fill_hint or error.hint) from None

    async def _send_missing(self, scanned: Scan, texts: UnfinishedTexts, counters: JobCounters) -> tuple[AsyncrunError | None, RowIds[int]]:
        if self.search.mode != "keyword":
            return await send_missing(self.items, scanned, texts, counters, self.output)
        counters.add(ok=int(np.count_nonzero(scanned.ready)), skipped=scanned.skipped)
        await keep_scanned_failures(self.items, scanned, counters)
        return None, scanned.done()

    async def _answer(
        self, answering: Answering, scanned: Scan, texts: UnfinishedTexts, counters: JobCounters, generation: object
    ) -> AsyncrunError | None:
        """Embed the questions that need it, then answer and write; an item is done when it has its answer. Returns what ended it early."""
        context, whole = self.items.context, False
        known = await asyncio.to_thread(known_failures, context.ledger, context.job_id)
        embedding, answers = JobCounters(context, "query", Progress()), Answers(answering, counters, known)
        embedding.start(len(scanned))
        try:
            try:
                error, asked = await self._send_missing(scanned, texts, embedding)
            finally:
                counters.take(embedding)
            if error := error or counters.too_many():
                return error
            index = await asyncio.to_thread(self.items.index)
            failed = any(each.space == answering.space.fingerprint for each in known.values())
            mark = await self._mark(scanned, index, answering.form)
            if not failed and await self.output.is_current(mark, context):
                counters.add(ok=embedding.counts.ok, cached=embedding.counts.ok)
                return None
            await answers.deliver(lambda: self._found(scanned, index, generation))
            async with self.output.writing(mark, context) as written:
                error = await answers.run(self._found(scanned, index, generation), written.write) or counters.too_many()
                if error is None:
                    check_rows(f"the answers of {context.name}", answers.ended, asked)
                    written.done = answers.done
            whole = error is None
        finally:
            await self._keep_failures(answering, answers, {} if whole else known)
        return error

    async def _keep_failures(self, answering: Answering, answers: Answers[Found], known: Mapping[str, KnownFailure]) -> None:
        """Add the failures of answers to those of the questions; of `known` ones those stay which were not reached."""
        context, space = self.items.context, answering.space.fingerprint
        ended = answers.reached | {each.failure.id for each in answers.failures}
        left = [each for name, each in known.items() if each.space == space and name not in ended]
        if new := [*answers.failures, *left]:
            others = await asyncio.to_thread(known_failures, context.ledger, context.job_id)
            names = {each.failure.id for each in new}
            await context.keep_failures([*(each for name, each in others.items() if name not in names), *new])

    async def _write(self, scanned: Scan, done: RowIds[int], generation: object) -> None:
        index = await asyncio.to_thread(self.items.index)
        mark = await self._mark(scanned, index)
        if not await self.output.is_current(mark, self.items.context):
            await self.output.write(self._rows(self._found(scanned, index, generation)), done, mark, self.items.context)

    async def _mark(self, scanned: Scan, index: KeyIndex, *more: str) -> str:
        revision = await asyncio.to_thread(self.store.revision, self.search.collection)
        present = "" if self.search.mode == "keyword" else self.items.present(scanned, index)
        generation = str(self.items.context.generation.number)
        return self.output.mark("query", scanned.digest, revision, repr(self.search), present, generation, *more)

    def _rows(self, blocks: Iterable[Sequence[Found]]) -> Iterator[Row]:
        for found in blocks:
            yield from ({"id": item.id, "query": item.text, "hits": [asdict(hit) for hit in hits]} for item, hits in found)

    def generation(self) -> object:
        """Return what tells the generation of the collection that is asked now. Blocks."""
        return served_generation(self.store, self.search.collection)

    def found_unless_stopped(self, scanned: Scan, index: KeyIndex, generation: object) -> Iterator[list[Found]]:
        """Yield the questions that can be asked with their hits, in blocks, all from one generation. Blocks."""
        return self.items.context.unless_stopped(self._found(scanned, index, generation))

    def _found(self, scanned: Scan, index: KeyIndex, generation: object) -> Iterator[list[Found]]:
        """Yield the questions that can be asked with their hits, in blocks, all from one generation. Blocks.

        Raises TryLaterError when another one has taken its place meanwhile.
        """
        blocks = self._blocks(scanned, index)
        while True:
            try:
                found = next(blocks, None)
            except AsyncrunError as error:
                # A question of one space may be none of the other.
                raise self._moved(generation) or error from None
            if (moved := self._moved(generation)) is not None:
                raise moved
            if found is None:
                return
            yield found

    def _moved(self, generation: object) -> TryLaterError | None:
        if self.generation() == generation:
            return None
        return TryLaterError(
            f"another generation of {self.search.collection!r} has taken the place of the one that was asked",
            hint="Run the same command again: it asks the new one, and what was sent is not sent again.",
        )

    def _blocks(self, scanned: Scan, index: KeyIndex) -> Iterator[list[Found]]:
        if self.search.mode == "keyword":
            for items in self.items.blocks(scanned):
                yield self._searched([item for _, item in items], [None] * len(items))
        else:
            for rows in self.items.rows(scanned, index):
                yield self._searched([item for item, _ in rows], [vector for _, vector in rows])

    def _searched(self, items: Sequence[Item], vectors: Sequence[Vectors | None]) -> list[Found]:
        search = self.search
        requests = [
            SearchRequest(item.text, vector, search.mode, search.top_k, search.filter) for item, vector in zip(items, vectors, strict=True)
        ]
        started = {
            EventPayload.TOP_K: search.top_k,
            "items": len(requests),
            "name": search.collection,
            EventPayload.QUERY_STR: [item.text for item in items],
        }
        with self.items.context.manager.event(CBEventType.RETRIEVE, payload=started) as event:
            before = self.items.context.clock.monotonic()
            answers = self.store.search(search.collection, requests)
            spent = Waits(store=self.items.context.clock.monotonic() - before)
            event.on_end(payload={"hits": sum(map(len, answers)), **spent.payload()})
        return list(zip(items, answers, strict=True))
