"""The kind `generate`: items in, one row with a model's answer for each, in input order."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from asyncrun.errors import AsyncrunError, UsageError
from asyncrun.grammar.prompt import TEXT
from asyncrun.humanize import counted
from asyncrun.jobs.answers import Answers
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.conversations import answered_rows
from asyncrun.jobs.generate.conversation import Generating
from asyncrun.jobs.generate.survey import ItemDigest, Survey, items_to_ask, survey
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.notes import describe_changes, file_notes
from asyncrun.jobs.outputs import JobOutput, RowDigest
from asyncrun.ledger.job_records import KnownFailure, known_failures, last_space
from asyncrun.ports import Progress
from asyncrun.readers.distinct_items import DistinctSource, changed_input
from asyncrun.records import Item
from asyncrun.results import Counts, JobPlan, JobResult

ROWS_AT_ONCE = 256
"""Items that are looked up together."""


@dataclass(frozen=True, slots=True, eq=False)
class GenerateRun:
    """One generate job, wired. Rows: id, answer (or answers), finish_reason, usage, metadata."""

    source: DistinctSource
    generating: Generating
    output: JobOutput
    context: JobContext

    async def plan(self) -> JobPlan:
        """Say what a run would send; sends nothing."""
        from asyncrun.jobs.generate.plan import plan_answers

        return await asyncio.to_thread(plan_answers, self)

    async def run(self, progress: Progress) -> JobResult:
        """Ask what is not answered, and write the output, unless it is up to date."""
        context = self.context
        counters = JobCounters(context, "generate", progress)
        try:
            await asyncio.to_thread(self.output.check)
            known = await asyncio.to_thread(known_failures, context.ledger, context.job_id)
            found = await asyncio.to_thread(self.survey)
            counters.start(found.items)
            counters.say(await asyncio.to_thread(self._notes, found))
            if await self.output.is_current(self._mark(found, found.known), context):
                error = _count_known(found, counters)
            else:
                error = await self._answer(found, counters, known)
        except AsyncrunError as raised:
            error = raised
        error = await context.finish(self.generating.space, error)
        return counters.result(limits=self.generating.llm.rate_limits, output=self.output.shown, error=error)

    def export(self, output: JobOutput) -> Counts:
        """Write the rows that are done now to another output; sends nothing. Blocks. Returns how many items are ok, of how many."""
        done, found = RowDigest(), self.survey()
        blocks = self.context.unless_stopped(self.blocks(found, ItemDigest()))
        output.write_rows(answered_rows(blocks, self.generating, self.context, done), done, RowDigest)
        return Counts(items=found.items, ok=len(done), skipped=found.skipped)

    def survey(self) -> Survey:
        """Pass over the input once. Blocks. Raises as the input does, and UsageError for a field of the prompt that no row has."""
        context = self.context
        known = known_failures(context.ledger, context.job_id)
        only = context.options.retry.select(known) if context.options.retry is not None else None
        items = context.unless_stopped(self.source.items(context.stopped))
        try:
            found = survey(items, self.generating, known=known, skip=context.skip, only=only)
        except UsageError:
            self._check_fields()
            raise
        self._check_fields()
        return found

    def _check_fields(self) -> None:
        for field in self.source.missing:
            if field.name != TEXT and field.name in self.generating.fields:
                raise field.error("which the prompt names") from None

    def blocks(self, found: Survey, digest: ItemDigest) -> Iterator[list[Item]]:
        """Yield the items that are asked about, in blocks. Blocks. Raises StorageError when the input is not what the survey saw."""
        items = items_to_ask(self.source.items(self.context.stopped), found.held, self.context.skip, digest)
        while block := list(islice(items, ROWS_AT_ONCE)):
            yield block
        if digest.hexdigest() != found.digest:
            raise changed_input("the input")

    async def _answer(self, found: Survey, counters: JobCounters, known: dict[str, KnownFailure]) -> AsyncrunError | None:
        context = self.context
        # Told before anything is sent: whoever watches sees them while there is time to mend them.
        for each in found.failures:
            counters.fail(each.failure)
        counters.add(skipped=found.skipped)
        error: AsyncrunError | None = counters.too_many()
        if error is not None:
            await context.keep_failures([*found.known])
            return error
        answers = Answers(self.generating, counters, known, RowDigest)
        await answers.deliver(lambda: self.blocks(found, ItemDigest()))
        async with self.output.writing("", context, RowDigest) as written:
            try:
                error = await answers.run(self.blocks(found, ItemDigest()), written.write) or counters.too_many()
            finally:
                failures = [*found.failures, *answers.failures]
                ended = answers.reached | {each.failure.id for each in failures}
                # Of an input that was not passed over to its end, what is not reached stays as it was.
                whole = error is None and context.options.limit is None
                await context.keep_failures([*failures, *([] if whole else (each for name, each in known.items() if name not in ended))])
            if error is None:
                written.mark, written.done = self._mark(found, failures), answers.done
        return error

    def _mark(self, found: Survey, failures: Iterable[KnownFailure]) -> str:
        failed = hashlib.blake2b("\0".join(sorted(each.failure.id for each in failures)).encode(errors="surrogatepass"), digest_size=16)
        return self.output.mark("generate", found.digest, self.generating.form, failed.hexdigest(), str(self.context.generation.number))

    def _notes(self, found: Survey) -> Sequence[str]:
        """Return what to say before anything is asked. Blocks."""
        return *map(str, self.source.missing), *self.changes(found.items - found.skipped - len(found.failures)), *file_notes(self.source)

    def changes(self, items: int) -> tuple[str, ...]:
        """Return a sentence about a model that is another one than when the job last finished, for so many items. Blocks."""
        before, now = last_space(self.context.ledger, self.context.job_id), self.generating.space.description
        if before is None or before == now:
            return ()
        return (f"{describe_changes(before, now)}: {counted(items, 'item')} asked about again",)


def _count_known(found: Survey, counters: JobCounters) -> AsyncrunError | None:
    """Count the items of a job whose output is up to date."""
    done = found.items - found.skipped - len(found.known)
    counters.add(ok=done, cached=done, skipped=found.skipped)
    for each in found.known:
        counters.fail(each.failure)
    return counters.too_many()
