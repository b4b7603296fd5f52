"""A row as conversations with a model: its messages and their keys, how each stands by the answers that there are, and the output row."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from asyncrun.errors import ItemError, Reason
from asyncrun.finish_reasons import STOP
from asyncrun.grammar.answer_check import Unusable, Wrong, check_answer, repair_message
from asyncrun.grammar.answer_schema import AnswerSchema
from asyncrun.grammar.prompt import TEXT, PromptTemplate, render_row_prompt
from asyncrun.jobs.conversations import Ask, AskedItem, Conversation, Failed, Find, State, Valid, usage_of
from asyncrun.jobs.forecast import AnswerForecast, TokenRate
from asyncrun.ledger.answers import answer_key
from asyncrun.ledger.job_records import Amount
from asyncrun.llms.interface import Completion, Llm, Message, Role, StructuredLlm
from asyncrun.llms.schema_rules import schema_remark
from asyncrun.records import Answer, BadItem, Item, Space, text_key

KEPT = 10_000
"""Characters of a wrong answer that its failure keeps."""


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """One message of a prompt."""

    role: Role
    content: PromptTemplate


@dataclass(frozen=True, eq=False)
class Generating:
    """How a job asks about its items.

    `before` are messages that stand first as they are, `templates` those that are filled. `repair` is how often an answer that does not
    fit the schema is asked for again. `rate` are the tokens that a request has a byte, `seen_answer` those that an answer of this model has
    had so far, None where there was none.
    """

    llm: Llm
    before: tuple[Message, ...]
    templates: tuple[MessageTemplate, ...]
    schema: AnswerSchema | None = None
    repair: int = 1
    samples: int = 1
    rate: TokenRate = field(default_factory=TokenRate)
    seen_answer: int | None = None

    @cached_property
    def space(self) -> Space:
        """Return what answers depend on beside the conversations."""
        return self.llm.space

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields that the templates name."""
        return tuple(dict.fromkeys(name for template in self.templates for name in template.content.fields))

    @property
    def form(self) -> str:
        """Return a word for what rows are made with, beside the items."""
        templates = [(each.role, each.content.literals, each.content.fields) for each in self.templates]
        return repr((self.space.fingerprint, self.before, templates, self._schema_word, self.repair, self.samples))

    def asked(self, found: Item) -> AskedItem:
        """Return what is asked about an item; one that does not fill the templates has failed, and so has one without a text."""
        try:
            messages = self._messages(found)
        except ItemError as error:
            return AskedItem(found, failed=Failed(error.reason, error.message))
        # The first sample is the answer of a job that wants one alone.
        conversations = tuple(self._conversation(messages, number or None) for number in range(self.samples))
        return AskedItem(found, conversations, partial(_row, found, self.samples))

    def _messages(self, item: Item) -> tuple[Message, ...]:
        if self._needs_text and not item.text.strip():
            raise ItemError("the text is empty", reason="empty")
        return (*self.before, *(Message(each.role, render_row_prompt(each.content, item)) for each in self.templates))

    @cached_property
    def _needs_text(self) -> bool:
        return TEXT in self.fields

    @cached_property
    def schema_document(self) -> Mapping[str, Any] | None:
        """Return the schema as it is sent, None without one."""
        return None if self.schema is None else self.schema.document

    def _conversation(self, messages: tuple[Message, ...], seed: int | None) -> Conversation:
        schema = None if self.schema is None else self._schema_word
        return Conversation(messages, answer_key(self.space, [(each.role, each.content) for each in messages], schema, seed), seed)

    @cached_property
    def _schema_word(self) -> str:
        return text_key(self.schema.text).hex() if self.schema is not None else ""

    def settle(self, conversation: Conversation, find: Find) -> State:
        """Return how a conversation stands: what does not fit the schema is asked for again, with the mistake said, `repair` times."""
        made: dict[bytes, Answer] = {}
        while (answer := find(conversation.key)) is not None:
            made[conversation.key] = answer
            outcome = check_answer(answer.text, answer.finish_reason, self.schema)
            if isinstance(outcome, Unusable) or (isinstance(outcome, Wrong) and len(made) > self.repair):
                return _failed(outcome, answer, len(made))
            if not isinstance(outcome, Wrong):
                return Valid(outcome.value, tuple(made.values()))
            said = Message("assistant", answer.text or ""), Message("user", repair_message(outcome))
            conversation = self._conversation((*conversation.messages, *said), conversation.seed)
        return Ask(conversation, made)

    def complete(self, conversation: Conversation) -> Awaitable[Completion]:
        """Ask the model once."""
        if self._structured is not None:
            return self._structured.complete(conversation.messages, schema=self.schema_document, seed=conversation.seed)
        return self.llm.complete(conversation.messages)

    @cached_property
    def _structured(self) -> StructuredLlm | None:
        # Looked at once: to compare a model with a protocol takes longer than to write its request.
        return self.llm if isinstance(self.llm, StructuredLlm) else None

    @property
    def schema_notes(self) -> tuple[str, ...]:
        """Return what is to be said of a schema that the provider does not hold its answers to, as far as is known."""
        if self._structured is None or self.schema_document is None:
            return ()
        return schema_remark(self._structured.schema_notes(self.schema_document))

    @cached_property
    def forecast(self) -> AnswerForecast:
        """Return what foresees answers."""
        return AnswerForecast(self.llm, self.rate, self.seen_answer)

    def expected(self, size: int) -> Amount:
        """Return what a conversation of so many bytes is expected to use; an estimate."""
        return self.forecast.of(size)


def _failed(outcome: Unusable | Wrong, answer: Answer, attempts: int) -> Failed:
    """Return the failure of an item whose answer is no row: with what was answered, where that may be mended by hand."""
    if isinstance(outcome, Unusable):
        return Failed(outcome.reason, outcome.message, attempts, answered=True)
    return Failed(Reason.BAD_ANSWER, f"{outcome}; answered: {(answer.text or '')[:KEPT]}", attempts, answered=True)


def _row(item: Item | BadItem, samples: int, answers: Sequence[Valid]) -> dict[str, Any]:
    """Return the output row of an item; its `finish_reason` is the first that is not the usual one, where there are several samples."""
    reasons = [valid.answers[-1].finish_reason for valid in answers]
    return {
        "id": item.id,
        **({"answer": answers[0].value} if samples == 1 else {"answers": [valid.value for valid in answers]}),
        "finish_reason": next((reason for reason in reasons if reason != STOP), STOP),
        "usage": usage_of(answers),
        "metadata": dict(item.metadata) if isinstance(item, Item) else {},
    }
