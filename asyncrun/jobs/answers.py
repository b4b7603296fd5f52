"""What a job asks of a chat model, answered: found in the ledger or asked for, as many at a time as make sense, rows in input order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import aclosing
from typing import Generic, TypeVar

from asyncrun.aio.drawn_ahead import drawn_ahead
from asyncrun.aio.pool import outcomes
from asyncrun.errors import AsyncrunError
from asyncrun.jobs.ask import ask
from asyncrun.jobs.conversations import Ask, AskedItem, Asking, Conversation, Delivered, Failed, State, firsts_of, look_up
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.open_rows import AnswerBlock, AskedRow, Talk
from asyncrun.jobs.outputs import Row, RowProof, new_row_ids
from asyncrun.jobs.run_options import RetrySelection, unsent_error
from asyncrun.jobs.scan import NO_KEY
from asyncrun.jobs.send_batches import stop_timeout
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.llms.interface import Declined
from asyncrun.records import Answer, ItemFailure

F = TypeVar("F")
Write = Callable[[Iterable[Row]], None]
"""Writes rows; blocks."""
OPEN_BLOCKS = 8
"""Blocks whose rows may wait for the first of them: what the slowest answer can hold up."""
STRETCH = 1.0
"""Seconds for which a call of the pool goes on from talk to talk: a call a talk costs as much as the account of a row, and whoever watches
the pool for a standstill is told of calls that have ended."""


class Answers(Generic[F]):
    """The answers of one job in one run.

    Args:
        asking: how the job asks.
        counters: who counts.
        known: the failures of earlier runs, by item id; one of an item that is asked about as it was then stays.
        proof: makes what takes in the ids of rows.

    `ended` are the items that have an answer, or none, `done` those that have one, which are the rows; `reached` are those of `known`
    that have ended.
    """

    def __init__(
        self,
        asking: Asking[F],
        counters: JobCounters,
        known: Mapping[str, KnownFailure],
        proof: Callable[[], RowProof] = new_row_ids,
    ) -> None:
        self._asking = asking
        self._counters = counters
        self._context = counters.context
        retry = self._context.options.retry
        self._chosen: RetrySelection | None = retry.select(known) if retry is not None else None
        self._known = known
        self._running: dict[bytes, Talk] = {}
        self._ready: deque[Talk] = deque()
        self._delivered = Delivered()
        self._declined: dict[bytes, Failed] = {}
        self._blocks: deque[AnswerBlock] = deque()
        self._room = asyncio.Event()
        self._ended: AsyncrunError | None = None
        self._left = 0
        self._failed: list[tuple[KnownFailure, bool]] = []
        self.ended, self.done = proof(), proof()
        self.reached: set[str] = set()

    async def deliver(self, blocks: Callable[[], Iterator[Sequence[F]]]) -> None:
        """Have batches answer what is not answered, where the job's model is asked so. Raises as `deliver_conversations`.

        `blocks` yields what `run` is to get; it is read in worker threads, once for each round of batches.
        """
        if "chat" in self._context.deliveries:
            from asyncrun.jobs.delivery.conversations import deliver_conversations

            self._delivered = await deliver_conversations(self._asking, blocks, self._known, self._counters)
            self._declined.update(self._delivered.declined)

    async def run(self, blocks: Iterator[Sequence[F]], write: Write) -> AsyncrunError | None:
        """Ask what is not answered and write the rows of what is, in input order.

        `blocks` is read in worker threads, a block ahead, and `write` called in one. An AsyncrunError or a stop ends it: nothing new is
        asked, what is in flight is awaited, and its answers are durable. Returns the error that ended it, None when all were answered.
        """
        workers = self._context.workers or self._asking.llm.workers
        calls = outcomes(self._calls(blocks), workers=workers, order="completed", on_error="collect")
        try:
            async with stop_timeout(self._context), calls as ended:
                async for outcome in ended:
                    outcome.result()
                    while self._blocks and not self._blocks[0].open:
                        await self._close(self._blocks.popleft(), write)
        except TimeoutError:
            self._ended = self._ended or self._context.stopped()
        finally:
            for block in self._blocks:
                await block.leases.aclose()
        return self._ended or unsent_error(self._left)

    @property
    def failures(self) -> list[KnownFailure]:
        """Return the failures, as the ledger is to know them."""
        return [self._counters.with_doubt(known, self._known.get(known.failure.id)) if new else known for known, new in self._failed]

    async def _calls(self, blocks: Iterator[Sequence[F]]) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Yield calls as long as there are talks; a block has one more that does nothing, so that its rows are written."""
        async with aclosing(drawn_ahead(self._looked_up(blocks))) as looked_up:
            async for asked, states in looked_up:
                while len(self._blocks) >= OPEN_BLOCKS and self._ended is None:
                    self._room.clear()
                    await self._room.wait()
                if self._must_end():
                    return
                block, talks = self._open(asked, states)
                self._blocks.append(block)
                async for leased in self._leased(block, talks):
                    self._ready += leased
                    while self._ready:
                        yield self._go_on
                yield _nothing

    def _must_end(self) -> bool:
        self._ended = self._ended or self._context.stopped()
        return self._ended is not None

    def _looked_up(self, blocks: Iterator[Sequence[F]]) -> Iterator[tuple[list[AskedItem], Mapping[bytes, State]]]:
        for found in blocks:
            asked = [self._asking.asked(each) for each in found]
            yield asked, look_up(firsts_of(asked), self._asking, self._context)

    def _open(self, asked: Sequence[AskedItem], states: Mapping[bytes, State]) -> tuple[AnswerBlock, list[Talk]]:
        """Return the rows of a block, those counted that have ended, and the talks that it has to ask."""
        block, talks, ok = AnswerBlock(open=len(asked)), list[Talk](), 0
        new = self._delivered.among([conversation.key for each in asked for conversation in each.conversations])
        for each in asked:
            chosen = self._chosen is None or self._chosen.has(each.item)
            found = tuple(self._find(conversation, each, states, chosen, new) for conversation in each.conversations)
            row = AskedRow(each, found, block)
            block.rows.append(row)
            for talk in found:
                if isinstance(talk.state, Ask) and (talk.rows or chosen):
                    if not talk.rows:
                        self._running[talk.conversation.key] = talk
                        talks.append(talk)
                    talk.rows.append(row)
                    row.open += 1
            if row.open:
                continue
            if row.answers is not None and not any(talk.asked for talk in found):
                block.open -= 1
                ok += 1
            else:
                self._end(row)
        self._counters.add(ok=ok, cached=ok)
        return block, talks

    def _find(self, conversation: Conversation, asked: AskedItem, states: Mapping[bytes, State], chosen: bool, new: Set[bytes]) -> Talk:
        key, retried = conversation.key, chosen and self._chosen is not None
        if (talk := self._running.get(key)) is not None:
            return talk
        state = states.get(key, Ask(conversation))
        if isinstance(state, Failed) and retried and key not in new:
            return Talk(conversation, Ask(conversation))  # from its first word on: what was answered does not count
        if isinstance(state, Ask) and state.conversation.key == key:
            state = self._declined.get(key, state)
            known = self._known.get(asked.item.id)
            if known is not None and not retried and known.holds_for(key, self._asking.space.fingerprint):
                state = Failed(known.failure.reason, known.failure.message, known.failure.attempts)
        return Talk(conversation, state, asked=key in new or key in self._declined)

    async def _leased(self, block: AnswerBlock, talks: Sequence[Talk]) -> AsyncIterator[list[Talk]]:
        """Yield the talks that this job is to hold, together; what another one is asking is waited for, and looked up then."""
        space = self._asking.space.fingerprint
        try:
            while talks and self._ended is None:
                leased = await block.leases.enter_async_context(
                    self._context.leases.take_texts(space, [talk.conversation.key for talk in talks])
                )
                # What was looked up is older than the lease.
                mine = await self._look_again([talk for talk, is_mine in zip(talks, leased.mine.tolist(), strict=True) if is_mine])
                block.asking += len(mine)
                yield mine
                talks = [talk for talk, is_mine in zip(talks, leased.mine.tolist(), strict=True) if not is_mine]
                if talks:
                    # Nobody waits for who waits: what is held here is done first.
                    await block.wait_until_quiet()
                    await self._counters.wait_for(leased)
                    talks = await self._look_again(talks)
        except AsyncrunError as error:
            self._ended = self._ended or error

    async def _look_again(self, talks: Sequence[Talk]) -> list[Talk]:
        """End the talks that are answered by now; returns the others."""
        if self._chosen is not None:
            return list(talks)
        asked = [talk.conversation for talk in talks]
        states = await asyncio.to_thread(look_up, asked, self._asking, self._context) if asked else {}
        left = []
        for talk in talks:
            talk.state = states.get(talk.conversation.key, talk.state)
            if isinstance(talk.state, Ask):
                left.append(talk)
            else:
                self._over(talk)
        return left

    async def _go_on(self) -> None:
        """Hold one talk after the other, until there is none, or a block is to be written."""
        monotonic = self._context.clock.monotonic
        ends = monotonic() + STRETCH
        while self._ready:
            await self._talk(self._ready.popleft())
            if monotonic() >= ends or not (self._blocks and self._blocks[0].open):
                break

    async def _talk(self, talk: Talk) -> None:
        """Ask, and ask again where the answer says so, until the talk has ended or the job must."""
        found: dict[bytes, Answer] = dict(talk.state.found) if isinstance(talk.state, Ask) else {}
        try:
            while isinstance(talk.state, Ask) and not self._must_end():
                asked = talk.state.conversation
                if (refused := self._declined.get(asked.key)) is not None:
                    talk.state = refused
                    break
                talk.asked = True
                completion = await ask(asked, self._asking, self._context)
                self._counters.use(completion.usage)
                self._counters.spend(completion.waits)
                answer = completion.answer
                if isinstance(answer, Declined):
                    talk.state = self._declined[asked.key] = Failed(answer.reason, answer.message, answer.attempts)
                elif answer is not None:
                    found[asked.key] = answer
                    talk.state = self._asking.settle(talk.conversation, found.get)
                self._ended = self._ended or completion.error
        except AsyncrunError as error:
            self._ended = self._ended or error
        finally:
            self._over(talk)
            talk.rows[0].block.talk_ended()

    def _over(self, talk: Talk) -> None:
        for row in talk.rows:
            row.open -= 1
            if not row.open:
                self._end(row)

    def _end(self, row: AskedRow) -> None:
        """Count a row that has ended, and the block with it."""
        asked, failed, cached = row.asked, row.failed, not any(talk.asked for talk in row.talks)
        if asked.item.id in self._known:
            self.reached.add(asked.item.id)
        if failed is not None:
            failure = ItemFailure(asked.item.id, asked.item.place, failed.reason, failed.message, failed.attempts)
            key = next((talk.conversation.key for talk in row.talks if talk.state is failed), NO_KEY)
            refused = not cached and not failed.answered
            self._failed.append((KnownFailure(failure, self._asking.space.fingerprint, key), refused))
            self._counters.fail(failure)
            self._ended = self._ended or self._counters.too_many()
        elif row.answers is None:
            self._left += 1
        else:
            self._counters.add(ok=1, cached=int(cached))
        row.block.open -= 1

    async def _close(self, block: AnswerBlock, write: Write) -> None:
        """Write the rows of a block, all of which have ended, and let go of what it has leased."""
        for row in block.rows:
            for talk in row.talks:
                self._running.pop(talk.conversation.key, None)
        if self._ended is None:
            await asyncio.to_thread(write, self._rows(block))
        await block.leases.aclose()
        self._room.set()

    def _rows(self, block: AnswerBlock) -> Iterator[Row]:
        for row in block.rows:
            name = hash(row.asked.item.id)
            self.ended.append(name)
            answers = row.answers
            if answers is not None:
                self.done.append(name)
                yield row.asked.row(answers)


async def _nothing() -> None:
    """Do nothing."""
