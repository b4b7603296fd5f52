"""What a generate job would send: input counted, output foreseen from what the model has answered so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from asyncrun.jobs.conversations import Ask, Conversation, Failed, firsts_of, look_up
from asyncrun.jobs.forecast import at_limits
from asyncrun.jobs.generate.survey import ItemDigest, Survey
from asyncrun.jobs.notes import input_notes
from asyncrun.ledger.job_records import Amount
from asyncrun.records import Pending
from asyncrun.results import JobPlan

if TYPE_CHECKING:
    from asyncrun.jobs.generate.run import GenerateRun


def plan_answers(run: GenerateRun) -> JobPlan:
    """Return the plan of a job. Blocks."""
    found, generating = run.survey(), run.generating
    new = failed = requests = 0
    amount = Amount()
    for missing, refused in _missing(run, found):
        failed += refused
        new += bool(missing)
        for conversation in run.context.forecast.unforeseen(generating.space, (Pending(each.key, "", each.size) for each in missing)):
            requests += 1
            amount += generating.expected(conversation.size)
    ready = found.items - found.skipped - len(found.failures) - failed
    llm = generating.llm
    seconds, bound = at_limits(llm.rate_limits, requests, amount.tokens, requests, requests * generating.forecast.likely)
    plan = JobPlan(
        name=run.context.name,
        kind="generate",
        items=found.items,
        new=new,
        unchanged=ready - new,
        failed=len(found.failures) + failed,
        skipped=found.skipped,
        requests=requests,
        tokens=amount.tokens,
        cost=None if llm.price is None else amount.cost,
        seconds=seconds,
        bound_by=bound,
        exact=not requests,
    )
    guess = (f"tokens are an estimate: {generating.forecast.basis}",) if requests else ()
    return replace(plan, notes=(*input_notes(run.source), *run.changes(new), *guess, *(generating.schema_notes if requests else ())))


def _missing(run: GenerateRun, found: Survey) -> Iterator[tuple[list[Conversation], bool]]:
    """Yield the conversations of each item that are to be asked, and whether the item has failed without any. Blocks."""
    for block in run.context.unless_stopped(run.blocks(found, ItemDigest())):
        asked = [run.generating.asked(item) for item in block]
        states = look_up(firsts_of(asked), run.generating, run.context)
        for each in asked:
            known = [states.get(conversation.key) for conversation in each.conversations]
            refused = each.failed is not None or any(isinstance(state, Failed) for state in known)
            asks = (states.get(conversation.key, Ask(conversation)) for conversation in each.conversations)
            yield [state.conversation for state in asks if isinstance(state, Ask)] if not refused else [], refused
