"""Answering through the ledger: a question with its hits to messages, the model's answer made durable, told as one event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from asyncrun.aio.worker_state import waiting
from asyncrun.batching.pack import byte_size
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.chunkers.safe import SafeTokenizer
from asyncrun.errors import AsyncrunError, ItemError
from asyncrun.grammar.prompt import Template
from asyncrun.jobs.budget import Reservation
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.estimate import BYTES_PER_TOKEN
from asyncrun.jobs.prompt import find_citations, fit_context, render_prompt
from asyncrun.ledger.answers import answer_key, find_answers, put_answers
from asyncrun.ledger.spending import Amount
from asyncrun.llms.interface import Completion, Llm, Message
from asyncrun.ports import Tokenizer
from asyncrun.records import Answer, Hit, Item, Space, Waits

LIKELY_ANSWER = 300
"""Tokens of an answer, where no limit is stated; an estimate for budgets and plans."""


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
    template: Template
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
        return repr((self.space.fingerprint, self.llm.messages(""), self.template, self.context_tokens, self.tokenizer_name))

    def question(self, item: Item, hits: Sequence[Hit]) -> Question:
        """Return a question as it is sent. Raises ItemError when its metadata do not fill the prompt."""
        context = fit_context(hits, self.context_tokens, self.tokenizer or SafeTokenizer())
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


async def ask(question: Question, answering: Answering, context: JobContext) -> Completion:
    """Ask once and return when the answer is durable; the error that ended it early is BudgetError before a call, or StorageError, too."""
    llm, completion = answering.llm, Completion()
    started = {
        EventPayload.MODEL_NAME: llm.model_name,
        EventPayload.MESSAGES: list(question.messages),
        "provider": llm.provider,
        "server.address": llm.space.host,
        "max_tokens": llm.max_output_tokens,
    }
    try:
        with context.manager.event(CBEventType.LLM, payload=started) as event, event.enclosing():
            async with _paid(question, answering, context) as reservation:
                completion = await llm.complete(question.messages)
                reservation.used(completion.usage)
                if completion.error is not None:
                    # The event and the reservation end as failed.
                    raise completion.error
                before = context.clock.monotonic()
                if isinstance(completion.answer, Answer):
                    with waiting("store", idle=False):
                        await put_answers(context.ledger, answering.space, {question.key: completion.answer})
                completion = replace(completion, waits=completion.waits + Waits(write=context.clock.monotonic() - before))
            event.on_end(payload=_described(completion))
    except AsyncrunError as error:
        return replace(completion, answer=None, error=error)
    return completion


@asynccontextmanager
async def _paid(question: Question, answering: Answering, context: JobContext) -> AsyncIterator[Reservation]:
    """Reserve what the question will use, where there is a budget. Raises BudgetError when it would pass it."""
    if context.budget is None:
        yield Reservation(Amount())
        return
    async with context.budget.reserve(answering.expected(question.size)) as reservation:
        yield reservation


def _described(completion: Completion) -> dict[Any, object]:
    usage, answer = completion.usage, completion.answer
    told: dict[Any, object] = {"tokens": usage.tokens, "requests": usage.requests, "retries": usage.retries}
    if isinstance(answer, Answer):
        told |= {
            EventPayload.RESPONSE: answer.text,
            "ok": 1,
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "finish_reason": answer.finish_reason,
        }
    elif answer is not None:
        told |= {"failed": 1, "reason": answer.reason}
    return told | completion.waits.told()
