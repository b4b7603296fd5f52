"""The kind `embed`: items in, one row with its vector for each, in input order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncrun.errors import AsyncrunError
from asyncrun.jobs.items import Items, plan_items
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.outputs import JobOutput, Row, RowIds
from asyncrun.jobs.scan import Scan
from asyncrun.jobs.send_missing import send_missing
from asyncrun.ports import Progress
from asyncrun.records import Item
from asyncrun.results import Counts, JobPlan, JobResult
from asyncrun.short_help import ShortHelp

if TYPE_CHECKING:
    from asyncrun.records import Vectors


Blocks = Iterable[Sequence[tuple[Item, "Vectors"]]]
"""Items with their vectors, in input order."""


def rows_with_vectors(blocks: Blocks) -> Iterator[Row]:
    """Yield a row for each item: id, embedding, text, metadata."""
    for block in blocks:
        for item, vector in block:
            yield {"id": item.id, "embedding": vector, "text": item.text, "metadata": dict(item.metadata)}


@dataclass(frozen=True, slots=True, eq=False)
class EmbedRun(metaclass=ShortHelp):
    """One job in one run whose rows are made from the vectors of its items, one row for each item that has one.

    Args:
        items: what is embedded.
        output: where the rows go.
        kind: the job's kind.
        make_rows: yields the row of every item that it gets, each with the item's id, in input order. Blocks.
        made_with: stands for what the rows depend on besides: with another word the output is written anew.

    >>> from asyncrun.records import InputType
    >>> def norms(blocks):
    ...     for block in blocks:
    ...         yield from ({"id": item.id, "norm": float(vector @ vector)} for item, vector in block)
    >>> def open_norms(job, builder):
    ...     return EmbedRun(builder.items(job, InputType.DOCUMENT), builder.output(job.output), "norms", norms)
    """

    items: Items
    output: JobOutput
    kind: str = "embed"
    make_rows: Callable[[Blocks], Iterable[Row]] = rows_with_vectors
    made_with: str = ""

    async def plan(self) -> JobPlan:
        """Say what a run would send; sends nothing."""
        scanned = await asyncio.to_thread(self.items.scan)
        index = await asyncio.to_thread(self.items.index)
        return await asyncio.to_thread(plan_items, self.items, self.kind, scanned, index, self.output)

    async def run(self, progress: Progress) -> JobResult:
        """Embed what is missing, then write the output unless it is up to date."""
        context = self.items.context
        counters = JobCounters(context, self.kind, progress)
        try:
            await asyncio.to_thread(self.output.check)
            async with self.items.unfinished_texts() as texts:
                scanned = await asyncio.to_thread(self.items.scan, texts)
                counters.start(len(scanned))
                counters.say(map(str, self.items.source.missing))
                error, done = await send_missing(self.items, scanned, texts, counters, self.output)
            if (error := error or counters.too_many()) is None:
                await self._write(scanned, done)
        except AsyncrunError as raised:
            error = raised
        error = await context.finish(self.items.space, error)
        return counters.result(limits=self.items.embedder.rate_limits, output=self.output.shown, error=error)

    def export(self, output: JobOutput) -> Counts:
        """Write the rows that are done now to another output; sends nothing. Blocks. Returns how many items are ok, of how many."""
        scanned = self.items.scan()
        index = self.items.whole_index()
        done = scanned.row_ids(self.items.finished(scanned, index))
        output.write_rows(self.make_rows(self.items.context.unless_stopped(self.items.rows(scanned, index))), done)
        return Counts(items=len(scanned), ok=len(done), skipped=scanned.skipped)

    async def _write(self, scanned: Scan, done: RowIds[int]) -> None:
        items = self.items
        index = await asyncio.to_thread(items.index)
        mark = self.output.mark(
            self.kind,
            scanned.digest,
            items.space.fingerprint,
            items.present(scanned, index),
            str(items.context.generation.number),
            *([self.made_with] if self.made_with else []),
        )
        if not await self.output.is_current(mark, items.context):
            await self.output.write(self.make_rows(items.rows(scanned, index)), done, mark, items.context)
