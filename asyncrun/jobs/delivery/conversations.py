"""The conversations of a job, delivered in batches before the ordinary way asks what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncrun.batches.interface import Purpose
from asyncrun.errors import UsageError
from asyncrun.jobs.conversations import Ask, AskedItem, Asking, Conversation, Delivered, Failed, State, firsts_of, look_up
from asyncrun.jobs.delivery.engine import deliver
from asyncrun.jobs.delivery.work import Kept, WorkReply, WorkRequest
from asyncrun.jobs.forecast import at_limits
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.run_options import RetrySelection
from asyncrun.ledger.answers import answered, newest_answer, put_answers
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.llms.interface import BatchLlm, Declined
from asyncrun.records import KEY_BYTES, Answer, EmbedFailure, Space
from asyncrun.usage import Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.jobs.context import JobContext


async def deliver_conversations(
    asking: Asking[Any], blocks: Callable[[], Iterator[Sequence[Any]]], known: Mapping[str, KnownFailure], counters: JobCounters
) -> Delivered:
    """Deliver what is to be asked about what `blocks` yields, which is read again after answers have come; returns what has come of it.

    An answer that does not fit its schema is asked for again in the next batch. `known` are the failures of earlier runs, by item id.
    Raises as `deliver` does, and UsageError.
    """
    context = counters.context
    delivery = context.deliveries.get("chat")
    if delivery is None or not isinstance(asking.llm, BatchLlm):
        raise UsageError(f"the llm {asking.llm.provider} has no batches", hint="Use `delivery: online`.")
    retry = context.options.retry
    chosen = None if retry is None else retry.select(known)
    begun = 0 if chosen is None else await asyncio.to_thread(newest_answer, context.ledger)
    work = ConversationWork(asking, asking.llm, context, OpenConversations(asking, context, blocks, known, chosen, begun))
    await deliver(work, await asyncio.to_thread(delivery), counters)
    return Delivered(work.failed, await asyncio.to_thread(_index, work.answered))


@dataclass(frozen=True, slots=True, eq=False)
class OpenConversations:
    """What is to be asked next, as often as that is asked.

    Of the items that a retry has `chosen`, None for all, an answer that does not pass is none: what counts for them is newer than the
    answer numbered `begun`. `afresh` are the keys of what is asked about them.
    """

    asking: Asking[Any]
    context: JobContext
    blocks: Callable[[], Iterator[Sequence[Any]]]
    known: Mapping[str, KnownFailure]
    chosen: RetrySelection | None
    begun: int
    afresh: set[bytes] = field(default_factory=set)

    def __iter__(self) -> Iterator[tuple[bytes, Conversation]]:
        """Yield each with the key of the first words that it goes on from: its own where nothing was answered yet. Blocks."""
        for found in self.blocks():
            asked = [self.asking.asked(each) for each in found]
            asked = asked if self.chosen is None else [each for each in asked if self.chosen.has(each.item)]
            states = self._states(asked)
            for each in asked:
                for first in each.conversations:
                    state = states.get(first.key, Ask(first))
                    if isinstance(state, Ask) and not self._has_failed(each, state.conversation):
                        yield first.key, state.conversation

    def finished(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return which conversations have an answer that counts. Blocks."""
        since = self.context.generation.answers_since
        there = answered(self.context.ledger, [key for key in keys if key not in self.afresh], since)
        return there | answered(self.context.ledger, [key for key in keys if key in self.afresh], self.begun)

    def _states(self, asked: Sequence[AskedItem]) -> Mapping[bytes, State]:
        states = dict(look_up(firsts_of(asked), self.asking, self.context))
        if self.chosen is None:
            return states
        firsts = [first for each in asked for first in each.conversations if isinstance(states.get(first.key), Failed)]
        again = look_up(firsts, self.asking, self.context, since=self.begun)
        for first in firsts:
            state = states[first.key] = again.get(first.key, Ask(first))
            if isinstance(state, Ask):
                self.afresh.add(state.conversation.key)
        return states

    def _has_failed(self, asked: AskedItem, conversation: Conversation) -> bool:
        before = self.known.get(asked.item.id) if self.chosen is None else None
        return before is not None and before.holds_for(conversation.key, self.asking.space.fingerprint)


@dataclass(frozen=True, slots=True, eq=False)
class ConversationWork:
    """The conversations of a job.

    `failed` are those that have failed by themselves, by key; `answered` are the keys of those that were answered in this run, each that
    of its first words.
    """

    asking: Asking[Any]
    llm: BatchLlm
    context: JobContext
    open: OpenConversations
    failed: dict[bytes, Failed] = field(default_factory=dict)
    answered: bytearray = field(default_factory=bytearray)
    _repairs: dict[bytes, bytes] = field(default_factory=dict)
    purpose: Purpose = "chat"

    @property
    def space(self) -> Space:
        """Return the space that the answers come into."""
        return self.asking.space

    def requests(self) -> Iterator[WorkRequest]:
        """Yield a request for each conversation. Blocks."""
        schema = self.asking.schema_document
        for first, conversation in self.open:
            if conversation.key not in self.failed:
                if conversation.key != first:
                    self._repairs[conversation.key] = first
                body = self.llm.request_body(conversation.messages, schema=schema, seed=conversation.seed)
                yield WorkRequest(conversation.key, body, self.asking.expected(conversation.size))

    def seconds_online(self, requests: int, tokens: int) -> float | None:
        """Return how long so many conversations take online, at the limits; None where none is known."""
        return at_limits(self.llm.rate_limits, requests, tokens, requests)[0]

    def finished(self, keys: bytes) -> NDArray[np.bool_]:
        """Tell which conversations have an answer. Blocks."""
        each = [keys[start : start + KEY_BYTES] for start in range(0, len(keys), KEY_BYTES)]
        there = self.open.finished(each)
        return np.fromiter((key in there for key in each), dtype=np.bool_, count=len(each))

    async def keep(self, replies: Sequence[WorkReply]) -> Kept:
        """Return when the answers are durable. What is no answer at all is left over, and sent again."""
        answers: dict[bytes, Answer] = {}
        failures: list[tuple[bytes, EmbedFailure]] = []
        usage = Usage()
        for reply in replies:
            completion = self.llm.read_reply(reply.document)
            usage += completion.usage
            if isinstance(completion.answer, Answer):
                answers[reply.key] = completion.answer
            elif isinstance(completion.answer, Declined) and completion.answer.reason != "bad_response":
                failures.append((reply.key, EmbedFailure(0, completion.answer.reason, completion.answer.message)))
        if answers:
            await put_answers(self.context.ledger, self.space, answers)
            self.answered.extend(b"".join(self._repairs.get(key, key) for key in answers))
        return Kept(list(answers), failures, usage)

    def fail(self, failures: Sequence[tuple[bytes, EmbedFailure]]) -> None:
        """Take note of conversations that have failed by themselves."""
        self.failed.update((key, Failed(failure.reason, failure.message, failure.attempts)) for key, failure in failures)


def _index(keys: bytearray) -> KeyIndex:
    array = keys_array(keys)
    return KeyIndex(array, np.zeros(len(array), dtype=np.int64))
