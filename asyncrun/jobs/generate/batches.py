"""The conversations of a generate job, delivered in batches before the ordinary way asks what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.batches.interface import Purpose
from asyncrun.errors import UsageError
from asyncrun.jobs.conversations import Conversation, Delivered, Failed
from asyncrun.jobs.delivery.engine import deliver
from asyncrun.jobs.delivery.work import Kept, WorkReply, WorkRequest
from asyncrun.jobs.forecast import at_limits
from asyncrun.jobs.generate.conversation import Generating
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.ledger.answers import answered, put_answers
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.llms.interface import BatchLlm, Declined
from asyncrun.records import KEY_BYTES, Answer, EmbedFailure, Space
from asyncrun.usage import Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.jobs.context import JobContext


OpenConversation = tuple[bytes, Conversation]
"""What is to be asked, with the key of the first words that it goes on from: its own where nothing was answered yet."""


async def deliver_conversations(
    generating: Generating, unfinished: Callable[[], Iterator[OpenConversation]], counters: JobCounters
) -> Delivered:
    """Deliver what `unfinished` yields, which is asked again after answers have come; returns what has come of it.

    An answer that does not fit its schema is asked for again in the next batch. Raises as `deliver` does, and UsageError.
    """
    context = counters.context
    if context.delivery is None or not isinstance(generating.llm, BatchLlm):
        raise UsageError(f"the llm {generating.llm.provider} has no batches", hint="Use `delivery: online`.")
    work = ConversationWork(generating, generating.llm, context, unfinished)
    await deliver(work, await asyncio.to_thread(context.delivery), counters)
    return Delivered(work.failed, await asyncio.to_thread(_index, work.answered))


@dataclass(frozen=True, slots=True, eq=False)
class ConversationWork:
    """The conversations of a job.

    `failed` are those that have failed by themselves, by key; `answered` are the keys of those that were answered in this run, each that
    of its first words.
    """

    generating: Generating
    llm: BatchLlm
    context: JobContext
    unfinished: Callable[[], Iterator[OpenConversation]]
    failed: dict[bytes, Failed] = field(default_factory=dict)
    answered: bytearray = field(default_factory=bytearray)
    _repairs: dict[bytes, bytes] = field(default_factory=dict)
    purpose: Purpose = "chat"

    @property
    def space(self) -> Space:
        """Return the space that the answers come into."""
        return self.generating.space

    def requests(self) -> Iterator[WorkRequest]:
        """Yield a request for each conversation. Blocks."""
        schema = self.generating.schema_document
        for first, conversation in self.unfinished():
            if conversation.key not in self.failed:
                if conversation.key != first:
                    self._repairs[conversation.key] = first
                body = self.llm.request_body(conversation.messages, schema=schema, seed=conversation.seed)
                yield WorkRequest(conversation.key, body, self.generating.expected(conversation.size))

    def seconds_online(self, requests: int, tokens: int) -> float | None:
        """Return how long so many conversations take online, at the limits; None where none is known."""
        return at_limits(self.llm.rate_limits, requests, tokens, requests)[0]

    def finished(self, keys: bytes) -> NDArray[np.bool_]:
        """Tell which conversations have an answer. Blocks."""
        each = [keys[start : start + KEY_BYTES] for start in range(0, len(keys), KEY_BYTES)]
        there = answered(self.context.ledger, each, self.context.generation.answers_since)
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
    return KeyIndex(array, np.zeros(len(array), dtype=np.int64), np.zeros(len(array), dtype=np.int32))
