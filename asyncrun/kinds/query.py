"""The kind `query`: questions in, one row with the best hits for each, in input order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.errors import AsyncrunError, SpaceMismatchError
from asyncrun.kinds.items import Items
from asyncrun.kinds.outputs import Output, Row
from asyncrun.kinds.planning import plan_items
from asyncrun.kinds.scan import Scan
from asyncrun.kinds.tally import Tally
from asyncrun.ledger.index import KeyIndex
from asyncrun.ports import Progress
from asyncrun.records import InputType, Item, JobPlan, JobResult
from asyncrun.stores.interface import SearchMode, SearchRequest, Store

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
class QueryKind:
    """One query job, wired. Rows: id, query, hits."""

    items: Items
    store: Store
    search: Search
    output: Output

    async def plan(self) -> JobPlan:
        """Say what a run would send; sends nothing."""
        scanned = await asyncio.to_thread(self.items.scan, embeds=self.search.mode != "keyword")
        if self.search.mode == "keyword":
            return JobPlan(self.items.context.name, "query", items=len(scanned), new=0, unchanged=len(scanned))
        return plan_items(self.items, "query", scanned, await asyncio.to_thread(self.items.index))

    async def run(self, progress: Progress) -> JobResult:
        """Embed the questions that need it, search, and write the output unless it is up to date."""
        context = self.items.context
        tally = Tally(context, "query", progress)
        try:
            await asyncio.to_thread(self.output.check)
            await asyncio.to_thread(self._check_space)
            scanned = await asyncio.to_thread(self.items.scan, embeds=self.search.mode != "keyword")
            tally.start(len(scanned))
            error = await self._send_missing(scanned, tally) or tally.too_many()
            if error is None:
                await self._write(scanned)
        except AsyncrunError as raised:
            error = raised
        return tally.result(output=self.output.shown, error=error)

    def _check_space(self) -> None:
        found = self.store.fingerprint(self.search.collection)
        space = self.items.embedder.space(InputType.DOCUMENT)
        if self.search.mode != "keyword" and found not in (None, space.fingerprint):
            raise SpaceMismatchError(
                f"the collection {self.search.collection!r} was filled by another embedder than {self.items.embedder.provider}"
                f"/{self.items.embedder.model_name}"
            )

    async def _send_missing(self, scanned: Scan, tally: Tally) -> AsyncrunError | None:
        if self.search.mode != "keyword":
            return await self.items.send_missing(scanned, await asyncio.to_thread(self.items.index), tally)
        tally.add(ok=int(np.count_nonzero(scanned.ready)), skipped=scanned.skipped)
        await self.items.keep_failures(scanned, {}, tally)
        return None

    async def _write(self, scanned: Scan) -> None:
        context, output = self.items.context, self.output
        index = await asyncio.to_thread(self.items.index)
        revision = await asyncio.to_thread(self.store.revision, self.search.collection)
        present = "" if self.search.mode == "keyword" else self.items.present(scanned, index)
        mark = output.mark("query", scanned.digest, revision, repr(self.search), present)
        if not await output.is_current(mark, context):
            await output.write(self._rows(scanned, index), mark, context)

    def _rows(self, scanned: Scan, index: KeyIndex) -> Iterator[Row]:
        if self.search.mode == "keyword":
            for items in self.items.blocks(scanned):
                yield from self._answered([item for _, item in items], [None] * len(items))
        else:
            for rows in self.items.rows(scanned, index):
                yield from self._answered([item for item, _ in rows], [vector for _, vector in rows])

    def _answered(self, items: Sequence[Item], vectors: Sequence[Vectors | None]) -> Iterator[Row]:
        search = self.search
        requests = [
            SearchRequest(item.text, vector, search.mode, search.top_k, search.filter) for item, vector in zip(items, vectors, strict=True)
        ]
        started = {EventPayload.TOP_K: search.top_k, "items": len(requests), "name": search.collection}
        with self.items.context.manager.event(CBEventType.RETRIEVE, payload=started) as event:
            answers = self.store.search(search.collection, requests)
            event.on_end(payload={"hits": sum(map(len, answers))})
        for item, hits in zip(items, answers, strict=True):
            yield {"id": item.id, "query": item.text, "hits": [asdict(hit) for hit in hits]}
