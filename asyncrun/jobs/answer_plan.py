"""What the answers of a job would take, before any is asked for: an estimate, since how long an answer becomes nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from asyncrun.jobs.answering import LIKELY_ANSWER, Answering, Question, look_up
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.estimate import BYTES_PER_TOKEN
from asyncrun.jobs.pace import at_limits
from asyncrun.ledger.spending import Amount
from asyncrun.records import Hit, Item, JobPlan

LIKELY_HIT = 1000
"""Bytes of a hit, as long as none was found: 256 tokens of English prose."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """What is to be asked: `items` have no answer, `sizes` are the bytes of their different requests."""

    items: int
    sizes: Sequence[int]

    def more(self, count: int, size: int) -> Unanswered:
        """Return the same with questions that nobody can search for yet; without others to go by, each of this size in bytes."""
        each = sum(self.sizes) // len(self.sizes) if self.sizes else size
        return Unanswered(self.items + count, [*self.sizes, *[each] * count])


def find_unanswered(blocks: Iterable[Sequence[tuple[Item, Sequence[Hit]]]], answering: Answering, context: JobContext) -> Unanswered:
    """Return what has no answer among questions whose hits are known. Blocks."""
    items = 0
    sizes: dict[bytes, int] = {}
    for block in blocks:
        # One that cannot be asked fails without a request.
        asked = look_up(block, answering, context)
        missing = [question for _, question, answer in asked if isinstance(question, Question) and answer is None]
        items += len(missing)
        sizes.update((question.key, question.size) for question in missing)
    return Unanswered(items, list(sizes.values()))


def likely_size(answering: Answering, top_k: int) -> int:
    """Return the bytes of a question of which no hit is known yet."""
    hits = top_k * LIKELY_HIT
    if answering.context_tokens is not None:
        hits = min(hits, answering.context_tokens * (1 if answering.tokenizer is None else BYTES_PER_TOKEN))
    return hits + sum(map(len, answering.template.literals))


def with_answers(plan: JobPlan, unanswered: Unanswered, answering: Answering) -> JobPlan:
    """Return the plan of the embedding with the answers in it; an item without an answer is new."""
    ready, count = plan.new + plan.unchanged, len(unanswered.sizes)
    plan = replace(plan, new=unanswered.items, unchanged=ready - unanswered.items)
    if not count:
        return plan
    llm = answering.llm
    amount = sum((answering.expected(size) for size in unanswered.sizes), Amount())
    own = plan.cost if plan.requests else 0.0
    paces = [(plan.seconds if plan.requests else None, plan.bound_by), at_limits(llm.rate_limits, count, amount.tokens, count)]
    known = [(seconds, bound) for seconds, bound in paces if seconds is not None]
    each = llm.max_output_tokens or LIKELY_ANSWER
    bytewise = answering.context_tokens is not None and answering.tokenizer is None
    notes = ("context_tokens counts bytes: the llm names no tokenizer",) if bytewise else ()
    note = f"answers: {count:,} requests, an estimate of a token for every {BYTES_PER_TOKEN} bytes and {each:,} for each answer"
    return replace(
        plan,
        requests=plan.requests + count,
        tokens=plan.tokens + amount.tokens,
        exact=False,
        cost=None if own is None or llm.price is None else own + amount.cost,
        seconds=sum(seconds for seconds, _ in known) if known else None,
        bound_by=max(known, key=lambda pace: pace[0])[1] if known else None,
        notes=(*plan.notes, note, *notes),
    )
