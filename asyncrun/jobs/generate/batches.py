"""The conversations of a generate job, delivered in batches before the ordinary way asks what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.batches.interface import Purpose
from asyncrun.errors import UsageError
from asyncrun.jobs.conversations import Conversation, Failed
from asyncrun.jobs.delivery.engine import deliver
from asyncrun.jobs.delivery.work import Kept, WorkReply, WorkRequest
from asyncrun.jobs.forecast import at_limits
from asyncrun.jobs.generate.conversation import Generating
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.ledger.answers import answered, put_answers
from asyncrun.llms.interface import BatchLlm, Declined
from asyncrun.records import KEY_BYTES, Answer, EmbedFailure, Space
from asyncrun.usage import Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.jobs.context import JobContext


async def deliver_conversations(
    generating: Generating, unfinished: Callable[[], Iterator[Conversation]], counters: JobCounters
) -> Mapping[bytes, Failed]:
    """Deliver what `unfinished` yields, which is asked again after answers have come; returns what has failed by itself, by its key.

    An answer that does not fit its schema is asked for again in the next batch. Raises as `deliver` does, and UsageError.
    """
    context = counters.context
    if context.delivery is None or not isinstance(generating.llm, BatchLlm):
        raise UsageError(f"the llm {generating.llm.provider} has no batches", hint="Use `delivery: online`.")
    work = ConversationWork(generating, generating.llm, context, unfinished)
    await deliver(work, await asyncio.to_thread(context.delivery), counters)
    return work.failed


@dataclass(frozen=True, slots=True, eq=False)
class ConversationWork:
    """The conversations of a job; `failed` are those that have failed by themselves, by key."""

    generating: Generating
    llm: BatchLlm
    context: JobContext
    unfinished: Callable[[], Iterator[Conversation]]
    failed: dict[bytes, Failed] = field(default_factory=dict)
    purpose: Purpose = "chat"

    @property
    def space(self) -> Space:
        """Return the space that the answers come into."""
        return self.generating.space

    def requests(self) -> Iterator[WorkRequest]:
        """Yield a request for each conversation. Blocks."""
        schema = self.generating.schema_document
        for conversation in self.unfinished():
            if conversation.key not in self.failed:
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
        return Kept(list(answers), failures, usage)

    def fail(self, failures: Sequence[tuple[bytes, EmbedFailure]]) -> None:
        """Take note of conversations that have failed by themselves."""
        self.failed.update((key, Failed(failure.reason, failure.message, failure.attempts)) for key, failure in failures)
