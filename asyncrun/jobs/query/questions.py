"""Questions with their hits as a chat model gets them: how a job answers, what is known of each, its row, what the others would take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun.chunkers.interface import ByteTokenizer
from asyncrun.embedders.tokenizer import load_tokenizer
from asyncrun.errors import ItemError, StorageError, UsageError, os_words
from asyncrun.grammar.prompt import DEFAULT_PROMPT, PromptTemplate, TemplateError, find_citations, fit_context, parse_prompt, render_prompt
from asyncrun.jobfile.jobs import Prompt
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.forecast import BYTES_PER_TOKEN, at_limits
from asyncrun.ledger.answers import answer_key, find_answers
from asyncrun.ledger.job_records import Amount
from asyncrun.llms.interface import Llm, Message
from asyncrun.packing import byte_size
from asyncrun.ports import Tokenizer
from asyncrun.records import Answer, Hit, Item, Space
from asyncrun.results import JobPlan

if TYPE_CHECKING:
    from asyncrun.jobs.query import QueryJob


LIKELY_ANSWER = 300
"""Tokens of an answer, where no limit is stated; an estimate for budgets and plans."""

LIKELY_HIT = 1000
"""Bytes of a hit, as long as none was found: 256 tokens of English prose."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A question with its hits, as the model gets it. `cited` are the ids of the numbered hits, `key` stands for all that is sent."""

    item: Item
    hits: Sequence[Hit]
    cited: Sequence[str]
    messages: Sequence[Message]
    key: bytes

    @property
    def size(self) -> int:
        """Return the bytes that are sent."""
        return sum(byte_size(message.content) for message in self.messages)


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

    def question(self, item: Item, hits: Sequence[Hit]) -> Question:
        """Return a question as it is sent. Raises ItemError when its metadata do not fill the prompt."""
        context = fit_context(hits, self.context_tokens, self.tokenizer or ByteTokenizer())
        messages = self.llm.messages(render_prompt(self.template, item, context.text))
        sent = [(message.role, message.content) for message in messages]
        return Question(item, hits, context.cited, messages, answer_key(self.space, sent))

    def expected(self, size: int) -> Amount:
        """Return what a question of so many bytes is expected to use; an estimate."""
        into, out = -(-size // BYTES_PER_TOKEN), self.llm.max_output_tokens or LIKELY_ANSWER
        return Amount(into + out, 0.0 if self.llm.price is None else self.llm.price.of(into, out))


def look_up(
    found: Sequence[tuple[Item, Sequence[Hit]]], answering: Answering, context: JobContext
) -> list[tuple[Item, Question | ItemError, Answer | None]]:
    """Return items with hits as questions, each with its finished answer; in place of one that cannot be asked, why. Blocks."""
    asked: list[tuple[Item, Question | ItemError]] = []
    for item, hits in found:
        try:
            asked.append((item, answering.question(item, hits)))
        except ItemError as error:
            asked.append((item, error))
    answers = find_answers(
        context.ledger, [question.key for _, question in asked if isinstance(question, Question)], context.generation.answers_since
    )
    return [(item, question, answers.get(question.key) if isinstance(question, Question) else None) for item, question in asked]


def answered_row(question: Question, answer: Answer) -> dict[str, Any]:
    """Return the output row of a question; `usage` is what the answer took when it was made."""
    return {
        "id": question.item.id,
        "query": question.item.text,
        "hits": [asdict(hit) for hit in question.hits],
        "answer": answer.text,
        "citations": find_citations(answer.text, question.cited),
        "finish_reason": answer.finish_reason,
        "usage": {"prompt_tokens": answer.input_tokens, "completion_tokens": answer.output_tokens, "total_tokens": answer.tokens},
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


def build_answering(job: QueryJob, llm: Llm, root: Path) -> Answering:
    """Return how a job answers. Blocks.

    Raises StorageError for a prompt that cannot be read, UsageError for one that is no template, and for a tokenizer that is not there.
    """
    try:
        template = parse_prompt(_prompt(job.prompt, root))
    except TemplateError as error:
        raise UsageError(f"the prompt of the job {job.name} cannot be used: {error}", hint="Correct `prompt` in the job file.") from error
    name = job.llm.tokenizer if job.llm is not None else None
    tokenizer = None if name is None else load_tokenizer(str(root / name) if name.endswith(".json") else name)
    return Answering(llm, template, job.context_tokens, tokenizer, name)


def _prompt(prompt: Prompt | None, root: Path) -> str:
    if prompt is None or prompt.path is None:
        return DEFAULT_PROMPT if prompt is None or prompt.text is None else prompt.text
    path = root / prompt.path
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the prompt {path}: {os_words(error)}", hint="Correct `prompt` in the job file.") from error
