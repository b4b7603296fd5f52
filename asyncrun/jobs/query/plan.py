"""What a query job would send: texts of questions, and with a model that answers, prompts of which the hits are known or foreseen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from asyncrun.errors import SpaceMismatchError
from asyncrun.humanize import counted
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.conversations import firsts_of, look_up
from asyncrun.jobs.forecast import BYTES_PER_TOKEN, at_limits
from asyncrun.jobs.items import plan_items
from asyncrun.jobs.notes import input_notes
from asyncrun.jobs.plan_steps import in_steps
from asyncrun.jobs.query.questions import Answering, Found
from asyncrun.ledger.job_records import Amount
from asyncrun.records import Pending
from asyncrun.results import JobPlan

if TYPE_CHECKING:
    from asyncrun.jobs.query.run import QueryRun

LIKELY_HIT = 1000
"""Bytes of a hit, as long as none was found: 256 tokens of English prose."""


def plan_questions(run: QueryRun) -> JobPlan:
    """Return the plan of a job. Blocks. Raises what would end a run at its start."""
    items, embeds = run.items, run.search.mode != "keyword"
    there, notes = _will_be_filled(run)
    scanned, index = items.scan(embeds=embeds), items.index()
    if embeds:
        plan = plan_items(items, "query", scanned, index, run.output)
    else:
        plan = JobPlan(
            items.context.name,
            "query",
            items=len(scanned),
            new=0,
            unchanged=len(scanned) - scanned.failed - scanned.skipped,
            failed=scanned.failed,
            skipped=scanned.skipped,
            notes=input_notes(items.source),
        )
    plan = plan.noted(*notes, *run.notes_on_filter())
    if run.answering is None:
        return plan
    found = run.found_unless_stopped(scanned, index, run.generation()) if there else ()
    unsearched = plan.new if there else plan.new + plan.unchanged
    known = find_unanswered(found, run.answering, items.context)
    return with_answers(plan, known.more(unsearched, likely_size(run.answering, run.search.top_k)), run.answering)


def _will_be_filled(run: QueryRun) -> tuple[bool, tuple[str, ...]]:
    """Tell whether the collection is there as it will be asked, and what to say of one that is to be made anew. Blocks."""
    try:
        return run.is_filled(), ()
    except SpaceMismatchError:
        if not run.rebuilt_by:
            raise
        return False, (f"the collection {run.search.collection!r} is made anew by {', '.join(run.rebuilt_by)} before it is asked",)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """What is to be asked: `items` have no answer, `sizes` are the bytes of their different requests."""

    items: int
    sizes: Sequence[int]

    def more(self, count: int, size: int) -> Unanswered:
        """Return the same with questions that nobody can search for yet; without others to go by, each of this size in bytes."""
        each = sum(self.sizes) // len(self.sizes) if self.sizes else size
        return Unanswered(self.items + count, [*self.sizes, *[each] * count])


def find_unanswered(blocks: Iterable[Sequence[Found]], answering: Answering, context: JobContext) -> Unanswered:
    """Return what has no answer among questions whose hits are known. Blocks."""
    items, sizes = 0, list[int]()
    for block in blocks:
        # One that cannot be asked fails without a request.
        asked = [answering.asked(found) for found in block]
        firsts = firsts_of(asked)
        states = look_up(firsts, answering, context)
        missing = [conversation for conversation in firsts if conversation.key not in states]
        items += len(missing)
        pending = (Pending(conversation.key, "", conversation.size) for conversation in missing)
        sizes += [each.size for each in context.forecast.unforeseen(answering.space, pending)]
    return Unanswered(items, sizes)


def likely_size(answering: Answering, top_k: int) -> int:
    """Return the bytes of a question of which no hit is known yet."""
    hits = top_k * LIKELY_HIT
    if answering.context_tokens is not None:
        hits = min(hits, answering.context_tokens * (1 if answering.tokenizer is None else BYTES_PER_TOKEN))
    return hits + sum(map(len, answering.template.literals))


def with_answers(plan: JobPlan, unanswered: Unanswered, answering: Answering) -> JobPlan:
    """Return the plan of the embedding with the answers as a second step; an item without an answer is new."""
    ready, count = plan.new + plan.unchanged, len(unanswered.sizes)
    amount = sum((answering.expected(size) for size in unanswered.sizes), Amount())
    seconds, bound = at_limits(answering.llm.rate_limits, count, amount.tokens, count, count * answering.forecast.likely)
    bytewise = answering.context_tokens is not None and answering.tokenizer is None
    note = f"answers: {counted(count, 'request')}; tokens are an estimate: {answering.forecast.basis}"
    notes = (note, *(["context_tokens counts bytes: the llm names no tokenizer"] if bytewise else []))
    answers = JobPlan(
        plan.name,
        plan.kind,
        plan.items,
        new=unanswered.items,
        requests=count,
        tokens=amount.tokens,
        cost=None if answering.llm.price is None else amount.cost,
        seconds=seconds,
        bound_by=bound,
        notes=notes if count else (),
    )
    return in_steps(replace(plan, new=unanswered.items, unchanged=ready - unanswered.items), [plan, answers])
