"""Answering the questions of a job: found in the ledger or asked for, as many at a time as make sense, rows in input order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from asyncrun.aio.pool import outcomes
from asyncrun.aio.worker_state import waiting
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.errors import AsyncrunError, ItemError
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.outputs import new_row_ids
from asyncrun.jobs.query.questions import Answering, Question, answered_row, look_up
from asyncrun.jobs.run_options import RetrySelection, unsent_error
from asyncrun.jobs.scan import NO_KEY
from asyncrun.jobs.send_batches import stop_timeout
from asyncrun.ledger.answers import find_answers, put_answers
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.llms.interface import Completion, Declined
from asyncrun.records import Answer, Hit, Item, ItemFailure
from asyncrun.usage import Waits

Found = tuple[Item, Sequence[Hit]]
Write = Callable[[Sequence[Mapping[str, Any]]], None]
"""Writes rows; blocks."""
ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """How a question ended: an empty completion where it was not asked. `cached` says that the answer was there before."""

    question: Question | None
    item: Item
    completion: Completion = field(default_factory=Completion)
    cached: bool = False


class Answers:
    """The answers of one job in one run.

    Args:
        answering: how it answers.
        context: the job's surroundings.
        counters: who counts.
        known: the failures of earlier runs, by item id; one of a question that is sent as it was then stays.

    `ended` are the items that have an answer, or none, `done` those that have one, which are the rows.
    """

    def __init__(self, answering: Answering, context: JobContext, counters: JobCounters, known: Mapping[str, KnownFailure]) -> None:
        self._answering = answering
        self._context = context
        self._counters = counters
        self._chosen: RetrySelection | None = context.options.retry.select(known) if context.options.retry is not None else None
        self._known = known
        self._locks: dict[bytes, asyncio.Lock] = {}
        self._declined: dict[bytes, Declined] = {}
        self._ended: AsyncrunError | None = None
        self._left = 0
        self._failed: list[tuple[KnownFailure, bool]] = []
        self.ended = new_row_ids()
        self.done = new_row_ids()

    async def run(self, blocks: Iterator[Sequence[Found]], write: Write) -> AsyncrunError | None:
        """Answer the questions and write the rows of those that have an answer, in input order.

        `blocks` is read lazily in a worker thread, and `write` called in one. An AsyncrunError or a stop ends it: no new question is asked,
        those in flight are awaited, and their answers are durable. Returns the error that ended it, None when all were answered.
        """
        rows: list[Mapping[str, Any]] = []
        workers = self._context.workers or self._answering.llm.workers
        try:
            async with (
                stop_timeout(self._context),
                outcomes(self._calls(blocks), workers=workers, order="input", on_error="collect", ahead=4 * workers) as settled,
            ):
                async for outcome in settled:
                    rows += self._receive(outcome.result())
                    if len(rows) >= ROWS_AT_ONCE and self._ended is None:
                        await asyncio.to_thread(write, rows)
                        rows = []
        except TimeoutError:
            self._ended = self._ended or self._context.stopped()
        if self._ended is None:
            await asyncio.to_thread(write, rows)
        return self._ended or unsent_error(self._left)

    @property
    def failures(self) -> list[KnownFailure]:
        """Return the failures, as the ledger is to know them."""
        return [self._counters.with_doubt(known, self._known.get(known.failure.id)) if new else known for known, new in self._failed]

    async def _calls(self, blocks: Iterator[Sequence[Found]]) -> AsyncIterator[Callable[[], Awaitable[Settled]]]:
        while self._ended is None and (block := await asyncio.to_thread(self._next, blocks)) is not None:
            for item, question, answer in block:
                self._ended = self._ended or self._context.stopped()
                if self._ended is not None:
                    return
                yield partial(self._settle, item, question, answer)

    def _next(self, blocks: Iterator[Sequence[Found]]) -> list[tuple[Item, Question | None, Answer | Declined | None]] | None:
        """Return the next questions with what is known of them. Blocks."""
        found = next(blocks, None)
        if found is None:
            return None
        return [
            (item, None, Declined(asked.reason, asked.message, 0))
            if isinstance(asked, ItemError)
            else (item, asked, self._known_of(asked, answer))
            for item, asked, answer in look_up(found, self._answering, self._context)
        ]

    def _known_of(self, question: Question, answer: Answer | None) -> Answer | Declined | None:
        known = self._known.get(question.item.id)
        if answer is not None or known is None or (self._chosen is not None and self._chosen.has(question.item)):
            return answer
        if not known.holds_for(question.key, self._answering.space.fingerprint):
            return None
        return Declined(known.failure.reason, known.failure.message, known.failure.attempts)

    async def _settle(self, item: Item, question: Question | None, known: Answer | Declined | None) -> Settled:
        if question is None or known is not None:
            return Settled(question, item, Completion(known), cached=True)
        if self._chosen is not None and not self._chosen.has(item):
            return Settled(question, item)
        # The same words under several ids are one request: who comes second waits, or finds what came of it.
        async with self._locks.setdefault(question.key, asyncio.Lock()):
            try:
                if self._ended is None:
                    return await self._ask(question, item)
            except AsyncrunError as error:
                self._ended = self._ended or error
            finally:
                self._locks.pop(question.key, None)
        return Settled(question, item)

    async def _ask(self, question: Question, item: Item) -> Settled:
        if question.key in self._declined:
            return Settled(question, item, Completion(self._declined[question.key]))
        async with self._context.leases.take_question(question.key, lambda: self._ended is None) as mine:
            if not mine:
                return Settled(question, item)
            since = self._context.generation.answers_since
            answers = await asyncio.to_thread(find_answers, self._context.ledger, [question.key], since)
            if question.key in answers:
                return Settled(question, item, Completion(answers[question.key]), cached=True)
            completion = await ask(question, self._answering, self._context)
        if isinstance(completion.answer, Declined):
            self._declined[question.key] = completion.answer
        self._ended = self._ended or completion.error
        return Settled(question, item, completion)

    def _receive(self, settled: Settled) -> list[Mapping[str, Any]]:
        """Count an ended question; return its row, if it has one."""
        completion, answer = settled.completion, settled.completion.answer
        self._counters.use(completion.usage)
        self._counters.spend(completion.waits)
        self.ended.append(hash(settled.item.id))
        if answer is None:
            self._left += 1
        elif isinstance(answer, Declined):
            failure = ItemFailure(settled.item.id, settled.item.place, answer.reason, answer.message, answer.attempts)
            key = settled.question.key if settled.question is not None else NO_KEY
            self._failed.append((KnownFailure(failure, self._answering.space.fingerprint, key), not settled.cached))
            self._counters.fail(failure)
            self._ended = self._ended or self._counters.too_many()
        else:
            self._counters.add(ok=1, cached=int(settled.cached))
            self.done.append(hash(settled.item.id))
            if settled.question is not None:
                return [answered_row(settled.question, answer)]
        return []


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
            async with context.reserve(lambda: answering.expected(question.size)) as reservation:
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


def _described(completion: Completion) -> dict[Any, object]:
    usage, answer = completion.usage, completion.answer
    payload: dict[Any, object] = {"tokens": usage.tokens, "requests": usage.requests, "retries": usage.retries}
    payload |= {"response_model": completion.model} if completion.model else {}
    payload |= {"worker": completion.worker} if completion.worker else {}
    if isinstance(answer, Answer):
        payload |= {
            EventPayload.RESPONSE: answer.text,
            "ok": 1,
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "finish_reason": answer.finish_reason,
        }
    elif answer is not None:
        payload |= {"failed": 1, "reason": answer.reason}
    return payload | completion.waits.payload()
