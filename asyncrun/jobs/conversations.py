"""What a job asks of a chat model: conversations with their keys, how each stands by what the ledger holds, and the rows made of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Protocol, TypeVar

from asyncrun.jobs.context import JobContext
from asyncrun.jobs.outputs import Row, RowProof
from asyncrun.ledger.answers import find_answers
from asyncrun.ledger.job_records import Amount
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.llms.interface import Completion, Llm, Message
from asyncrun.packing import byte_size
from asyncrun.records import Answer, BadItem, Item, Space

F_contra = TypeVar("F_contra", contravariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class Conversation:
    """Messages as a model gets them; `key` stands for all that is sent, and so for the answer. Without a `seed` none is sent."""

    messages: Sequence[Message]
    key: bytes
    seed: int | None = None

    @property
    def size(self) -> int:
        """Return the bytes that are sent."""
        return sum(byte_size(message.content) for message in self.messages)


@dataclass(frozen=True, slots=True, eq=False)
class Valid:
    """An answer that counts, as the `value` that its row holds; `answers` are all that were paid for on the way, it is the last."""

    value: Any
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """What is to be asked next: a conversation, or one that asks again with a mistake said; `found` are the answers before it, by key."""

    conversation: Conversation
    found: Mapping[bytes, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer that counts; `attempts` is how many requests that took.

    `answered` tells whether a model has answered: then the ledger has what it said.
    """

    reason: str
    message: str
    attempts: int = 0
    answered: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Delivered:
    """What batches have brought in this run: what was declined there, by key, and which first words were answered, or answered again."""

    declined: Mapping[bytes, Failed] = field(default_factory=dict)
    answered: KeyIndex | None = None

    def among(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return those of the keys that were answered."""
        if self.answered is None or not keys:
            return set()
        return set(compress(keys, self.answered.find(keys_array(b"".join(keys))) >= 0))


State = Valid | Ask | Failed
"""How a conversation stands."""
Find = Callable[[bytes], Answer | None]
"""Finds an answer by its key."""


@dataclass(frozen=True, slots=True, eq=False)
class AskedItem:
    """An item with what is asked about it: a conversation a sample, and how its row is made of what they have brought.

    `failed` says why nothing can be asked about it, None where something can.
    """

    item: Item | BadItem
    conversations: Sequence[Conversation] = ()
    row: Callable[[Sequence[Valid]], Row] = lambda _: {}
    failed: Failed | None = None


class Asking(Protocol[F_contra]):
    """How a kind of job asks a chat model about what it has found."""

    @property
    def llm(self) -> Llm:
        """Return the model."""

    @property
    def space(self) -> Space:
        """Return what answers depend on beside the conversations."""

    @property
    def schema_document(self) -> Mapping[str, Any] | None:
        """Return the JSON Schema that answers are held to, None where any text is an answer."""

    def asked(self, found: F_contra) -> AskedItem:
        """Return what is asked."""

    def settle(self, conversation: Conversation, find: Find) -> State:
        """Return how a conversation stands, given the answers that there are; the same at every time and in every run."""

    def complete(self, conversation: Conversation) -> Awaitable[Completion]:
        """Ask the model once."""

    def expected(self, size: int) -> Amount:
        """Return what a conversation of so many bytes is expected to use; an estimate."""


def settle_plainly(conversation: Conversation, find: Find) -> State:
    """Return how a conversation stands whose answer counts whatever it is.

    >>> asked = Conversation((Message("user", "Who purrs?"),), bytes(16))
    >>> settle_plainly(asked, {bytes(16): Answer("Cats.", "stop")}.get).value
    'Cats.'
    """
    answer = find(conversation.key)
    return Ask(conversation) if answer is None else Valid(answer.text, (answer,))


def firsts_of(asked: Sequence[AskedItem]) -> list[Conversation]:
    """Return all that is asked, each with its first messages."""
    return [conversation for each in asked for conversation in each.conversations]


def look_up(
    conversations: Sequence[Conversation], asking: Asking[Any], context: JobContext, since: int | None = None
) -> Mapping[bytes, State]:
    """Return how conversations stand of which the ledger has an answer, by the key of each's first messages. Blocks.

    Answers up to the number `since` do not count, by default those that do not count for the job's generation.
    """
    since = context.generation.answers_since if since is None else since
    firsts = {conversation.key: conversation for conversation in conversations}
    found: dict[bytes, Answer] = {}
    states: dict[bytes, State] = {}
    wanted = {key: key for key in firsts}
    while wanted:
        new = find_answers(context.ledger, list(wanted.values()), since)
        found |= new
        answered = [first for first, key in wanted.items() if key in new]
        wanted = {}
        for first in answered:
            state = states[first] = asking.settle(firsts[first], found.get)
            if isinstance(state, Ask):
                wanted[first] = state.conversation.key
    return states


def answered_rows(blocks: Iterable[Sequence[Any]], asking: Asking[Any], context: JobContext, done: RowProof) -> Iterator[Row]:
    """Yield the rows of what is answered now, in input order; their ids are added to `done`. Blocks."""
    for found in blocks:
        asked = [asking.asked(each) for each in found]
        states = look_up(firsts_of(asked), asking, context)
        for each in asked:
            answers = [state for one in each.conversations if isinstance(state := states.get(one.key), Valid)]
            if each.failed is None and len(answers) == len(each.conversations):
                done.append(hash(each.item.id))
                yield each.row(answers)


def usage_of(answers: Sequence[Valid]) -> dict[str, int]:
    """Return the tokens that answers took when they were made, those that were asked again and thought of among them.

    >>> usage_of([Valid("Cats.", (Answer("Cats.", "stop", 20, 2),))])
    {'prompt_tokens': 20, 'completion_tokens': 2, 'total_tokens': 22}
    """
    made = [answer for valid in answers for answer in valid.answers]
    into, out = sum(answer.input_tokens for answer in made), sum(answer.output_tokens for answer in made)
    told = {name: sum(getattr(answer, name, 0) for answer in made) for name in ("reasoning_tokens", "cached_tokens")}
    return {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out, **{name: n for name, n in told.items() if n}}
