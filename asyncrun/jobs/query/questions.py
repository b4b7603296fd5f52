"""Questions with their hits as a chat model gets them: how a job answers, what is known of each, its row, what the others would take."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun.chunkers.interface import ByteTokenizer
from asyncrun.embedders.tokenizer import load_tokenizer
from asyncrun.errors import ItemError
from asyncrun.grammar.prompt import DEFAULT_PROMPT, PromptTemplate, find_citations, fit_context, parse_prompt, render_prompt
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.conversations import AskedItem, Conversation, Failed, Find, State, Valid, look_up, settle_plainly, usage_of
from asyncrun.jobs.forecast import BYTES_PER_TOKEN, LIKELY_ANSWER, at_limits
from asyncrun.jobs.prompt_text import parse_read, read_prompt
from asyncrun.ledger.answers import answer_key
from asyncrun.ledger.job_records import Amount
from asyncrun.llms.interface import Completion, Llm
from asyncrun.ports import Tokenizer
from asyncrun.records import Hit, Item, Space
from asyncrun.results import JobPlan

if TYPE_CHECKING:
    from asyncrun.jobs.query import QueryJob


Found = tuple[Item, Sequence[Hit]]
"""A question with its hits."""
LIKELY_HIT = 1000
"""Bytes of a hit, as long as none was found: 256 tokens of English prose."""


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """How a job answers from its hits.

    `tokenizer` counts for `context_tokens`; without one every byte counts as a token. Without `context_tokens` all hits are shown.
    """

    llm: Llm
    template: PromptTemplate
    context_tokens: int | None = None
    tokenizer: Tokenizer | None = None
    tokenizer_name: str | None = None

    @property
    def space(self) -> Space:
        """Return what answers depend on beside the messages."""
        return self.llm.space

    @property
    def form(self) -> str:
        """Return a word for what answers are made with."""
        prompt = (self.template.literals, self.template.fields)
        return repr((self.space.fingerprint, self.llm.messages(""), prompt, self.context_tokens, self.tokenizer_name))

    def asked(self, found: Found) -> AskedItem:
        """Return a question with its hits as it is sent; one whose metadata do not fill the prompt has failed."""
        item, hits = found
        context = fit_context(hits, self.context_tokens, self.tokenizer or ByteTokenizer())
        try:
            prompt = render_prompt(self.template, item, context.text)
        except ItemError as error:
            return AskedItem(item, failed=Failed(error.reason, error.message))
        messages = self.llm.messages(prompt)
        key = answer_key(self.space, [(message.role, message.content) for message in messages])
        return AskedItem(item, (Conversation(messages, key),), partial(answered_row, item, hits, context.cited))

    def settle(self, conversation: Conversation, find: Find) -> State:
        """Return how a question stands: whatever a model has answered counts."""
        return settle_plainly(conversation, find)

    def complete(self, conversation: Conversation) -> Awaitable[Completion]:
        """Ask the model once."""
        return self.llm.complete(conversation.messages)

    def expected(self, size: int) -> Amount:
        """Return what a question of so many bytes is expected to use; an estimate."""
        into, out = -(-size // BYTES_PER_TOKEN), self.llm.max_output_tokens or LIKELY_ANSWER
        return Amount(into + out, 0.0 if self.llm.price is None else self.llm.price.of(into, out))


def answered_row(item: Item, hits: Sequence[Hit], cited: Sequence[str], answers: Sequence[Valid]) -> dict[str, Any]:
    """Return the output row of a question; `usage` is what the answer took when it was made."""
    answer = answers[0].answers[-1]
    return {
        "id": item.id,
        "query": item.text,
        "hits": [asdict(hit) for hit in hits],
        "answer": answer.text,
        "citations": find_citations(answer.text, cited),
        "finish_reason": answer.finish_reason,
        "usage": usage_of(answers),
    }


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
    items = 0
    sizes: dict[bytes, int] = {}
    for block in blocks:
        # One that cannot be asked fails without a request.
        asked = [answering.asked(found) for found in block]
        states = look_up(asked, answering, context)
        missing = [conversation for each in asked for conversation in each.conversations if conversation.key not in states]
        items += len(missing)
        sizes.update((conversation.key, conversation.size) for conversation in missing)
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
    each = llm.max_output_tokens or LIKELY_ANSWER
    answers = at_limits(llm.rate_limits, count, amount.tokens, count, count * each)
    paces = [(plan.seconds if plan.requests else None, plan.bound_by), answers]
    known = [(seconds, bound) for seconds, bound in paces if seconds is not None]
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


def build_answering(job: QueryJob, llm: Llm, root: Path) -> Answering:
    """Return how a job answers. Blocks.

    Raises StorageError for a prompt that cannot be read, UsageError for one that is no template, and for a tokenizer that is not there.
    """
    text = DEFAULT_PROMPT if job.prompt is None else read_prompt(job.prompt, root)
    template = parse_read(text, parse_prompt, job.name)
    name = job.llm.tokenizer if job.llm is not None else None
    tokenizer = None if name is None else load_tokenizer(str(root / name) if name.endswith(".json") else name)
    return Answering(llm, template, job.context_tokens, tokenizer, name)
