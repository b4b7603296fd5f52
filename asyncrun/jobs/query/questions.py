"""Questions with their hits as a chat model gets them: how a job answers, what is known of each, its row, what the others would take."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun.chunkers.interface import ByteTokenizer
from asyncrun.embedders.tokenizer import load_tokenizer
from asyncrun.errors import ItemError
from asyncrun.grammar.prompt import DEFAULT_PROMPT, PromptTemplate, find_citations, fit_context, parse_prompt, render_prompt
from asyncrun.jobs.conversations import AskedItem, Conversation, Failed, Find, State, Valid, settle_plainly, usage_of
from asyncrun.jobs.forecast import AnswerForecast, TokenRate
from asyncrun.jobs.prompt_text import parse_read, read_prompt
from asyncrun.ledger.answers import answer_key
from asyncrun.ledger.job_records import Amount
from asyncrun.llms.interface import Completion, Llm
from asyncrun.ports import Tokenizer
from asyncrun.records import Hit, Item, Space

if TYPE_CHECKING:
    from asyncrun.jobs.query import QueryJob


Found = tuple[Item, Sequence[Hit]]
"""A question with its hits."""


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """How a job answers from its hits.

    `tokenizer` counts for `context_tokens`; without one every byte counts as a token. Without `context_tokens` all hits are shown.
    `rate` are the tokens that a request has a byte, `seen_answer` those that an answer of this model has had so far.
    """

    llm: Llm
    template: PromptTemplate
    context_tokens: int | None = None
    tokenizer: Tokenizer | None = None
    tokenizer_name: str | None = None
    rate: TokenRate = field(default_factory=TokenRate)
    seen_answer: int | None = None

    @property
    def space(self) -> Space:
        """Return what answers depend on beside the messages."""
        return self.llm.space

    @property
    def form(self) -> str:
        """Return a word for what answers are made with."""
        prompt = (self.template.literals, self.template.fields)
        return repr((self.space.fingerprint, self.llm.messages(""), prompt, self.context_tokens, self.tokenizer_name))

    @property
    def schema_document(self) -> None:
        """Return None: any text is an answer."""

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

    @property
    def forecast(self) -> AnswerForecast:
        """Return what foresees answers."""
        return AnswerForecast(self.llm, self.rate, self.seen_answer)

    def expected(self, size: int) -> Amount:
        """Return what a question of so many bytes is expected to use; an estimate."""
        return self.forecast.of(size)


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


def build_answering(job: QueryJob, llm: Llm, root: Path) -> Answering:
    """Return how a job answers. Blocks.

    Raises StorageError for a prompt that cannot be read, UsageError for one that is no template, and for a tokenizer that is not there.
    """
    text = DEFAULT_PROMPT if job.prompt is None else read_prompt(job.prompt, root)
    template = parse_read(text, parse_prompt, job.name)
    name = job.llm.tokenizer if job.llm is not None else None
    tokenizer = None if name is None else load_tokenizer(str(root / name) if name.endswith(".json") else name)
    return Answering(llm, template, job.context_tokens, tokenizer, name)
