"""Several endpoints that serve one model, as one embedder: each batch goes where it may go first, and all are compared."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from asyncrun.aio.limits import Limits
from asyncrun.aio.permit import Reservation
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.embedders.http_embedder import HttpEmbedder
from asyncrun.embedders.interface import merge_outcomes, no_vectors, renumber
from asyncrun.embedders.same_model import KNOWN_TEXT, are_alike
from asyncrun.endpoints.replicas import ABOUT_ENDPOINT, Replica, Replicas, reserve_at_first
from asyncrun.errors import AsyncrunError, EndpointError, OutageError, SpaceMismatchError
from asyncrun.records import Embedded, InputType, Space
from asyncrun.usage import Usage

if TYPE_CHECKING:
    from asyncrun.records import Vectors

COMPARISON_WAIT = 1.0
"""Seconds that the first batch waits for endpoints to be compared while there is one that could take it."""
logger = logging.getLogger(__name__)


class KnownVector(Protocol):
    """Where the vector of the known text is kept from run to run."""

    def known(self) -> tuple[Vectors | None, bool]:
        """Return the vector, None when there is none, and whether the space has vectors at all. Blocks."""

    async def keep(self, vector: Vectors) -> None:
        """Keep the vector."""


class SeveralEmbedders(BaseEmbedding):
    """Embeds with several endpoints at once, each with its own limiter and circuit.

    An endpoint gets batches once its vector of a known text agrees with the reference (cosine 0.999 or more): that of earlier runs, or in a
    space without vectors that of the first endpoint that answers. One that is down, refuses, or makes other vectors is left out for the
    rest of the run, with a warning; its batches go to the others. The space is that of the first endpoint.

    Args:
        embedders: One an endpoint, alike in all but address, key and limits; one or more.
        reference: Where the vector of the known text is kept; None: nowhere.
        warn: Is told which endpoints are left out, and why.

    A call ends with what has ended the endpoints, when none is left.
    """

    def __init__(
        self,
        embedders: Sequence[HttpEmbedder],
        *,
        reference: KnownVector | None = None,
        warn: Callable[[str], object] = logger.warning,
    ) -> None:
        first, self._replicas = embedders[0], Replicas(embedders, warn)
        super().__init__(
            model=first.model_name,
            batch=first.batch,
            workers=self._replicas.workers,
            on_too_long=first.on_too_long,
            on_empty=first.on_empty,
            document_prefix=first.prefix(InputType.DOCUMENT),
            query_prefix=first.prefix(InputType.QUERY),
            price_per_million_tokens=first.price_per_million_tokens,
            max_input_tokens=first.max_input_tokens,
        )
        self.provider = first.provider
        self.keeps_together, self.cuts, self.tokenizer = first.keeps_together, first.cuts, first.tokenizer
        self.comparison_requests = len(embedders)
        self._first = first
        self._keeper = reference
        self._reference: Vectors | None = None
        self._alike: set[Replica[HttpEmbedder]] = set()
        self._comparisons: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None
        self._spent = Usage()

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong with one of the endpoints."""
        self._replicas.check()

    def space(self, input_type: InputType) -> Space:
        """Return the vector space of the first endpoint."""
        return self._first.space(input_type)

    @property
    def served_by(self) -> str:
        """Return the first endpoint: the others serve what it serves."""
        return self._first.served_by

    @property
    def embedders(self) -> list[HttpEmbedder]:
        """Return the embedders of the endpoints, in their order."""
        return self._replicas.models

    @property
    def dimensions(self) -> int | None:
        """Return how many numbers a vector has, None before that is known."""
        return next((found for model in self._replicas.models if (found := model.dimensions) is not None), None)

    @property
    def tokens_per_byte(self) -> float:
        """Return how many tokens a byte of text stands for at most, as far as every endpoint in use knows."""
        return max((replica.model.tokens_per_byte for replica in self._alike), default=super().tokens_per_byte)

    @property
    def rate_limits(self) -> Limits | None:
        """Return what is known of the limits of all endpoints together; what is not known of one of them is not known."""
        return self._replicas.rate_limits

    async def _embed(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> Embedded:
        """Have the texts embedded by the endpoint that may first, and what it leaves open by another one where it fails."""
        self.check()
        outcomes: list[Embedded] = []
        left: Sequence[int] = range(len(texts))
        while left:
            sent = [texts[position] for position in left]
            try:
                booked = await self._book(await self._serving(), sent)
            except AsyncrunError as error:
                outcomes.append(no_vectors(error=error))
                break
            if booked is None:
                continue
            replica, reservation = booked
            with reservation.held():
                if replica.error is not None:
                    continue
                outcome = renumber(await replica.model.embed_as_is(sent, input_type, cut=cut), left)
            if not isinstance(outcome.error, ABOUT_ENDPOINT):
                outcomes.append(outcome)
                break
            self._replicas.leave_out(replica, outcome.error)
            outcomes.append(replace(outcome, failures=(), error=None))
            left = [number for number in left if number not in outcome.positions]
        answer, spent, self._spent = merge_outcomes(outcomes), self._spent, Usage()
        return replace(answer, usage=answer.usage + spent, comparison_tokens=answer.comparison_tokens + spent.tokens)

    async def _book(
        self, serving: Sequence[Replica[HttpEmbedder]], texts: Sequence[str]
    ) -> tuple[Replica[HttpEmbedder], Reservation] | None:
        """Wait for the endpoint that may first; None when another one was compared meanwhile, and may be quicker."""
        booking = reserve_at_first(serving, tokens=max(replica.model.tokens_of(texts) for replica in serving), inputs=len(texts))
        if not self._comparisons:
            return await booking
        line = asyncio.create_task(booking)
        try:
            await asyncio.wait([line, *self._comparisons], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _leave(line)
            raise
        if not line.done():
            await _leave(line)
            return None
        return line.result()

    async def _serving(self) -> list[Replica[HttpEmbedder]]:
        """Return the endpoints that batches may go to, one at least. Raises what ended them when all are left out."""
        while not (serving := [replica for replica in self._replicas.serving if replica in self._alike]) or self._opening is not None:
            if not self._replicas.serving:
                raise self._replicas.none_left()
            if not self._comparisons:
                self._opening = self._begin(self._compare_all())
            await asyncio.wait(list(self._comparisons), return_when=asyncio.FIRST_COMPLETED)
            if self._broken is not None:
                raise self._broken
        return serving

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # In a context of its own: a comparison may outlive the batch that was waiting for it.
        task = asyncio.create_task(work, context=Context())
        self._comparisons.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, comparison: asyncio.Task[None]) -> None:
        self._comparisons.discard(comparison)
        if comparison is self._opening:
            self._opening = None
        if not comparison.cancelled():
            # Not an answer of an endpoint: a full disk, or a bug.
            self._broken = self._broken or comparison.exception()

    async def _compare_all(self) -> None:
        """Find a reference, then compare the endpoints with it, all at the same time; one that takes long joins later."""
        any_vectors = False
        if self._reference is None and self._keeper is not None:
            self._reference, any_vectors = await asyncio.to_thread(self._keeper.known)
        uncompared = [replica for replica in self._replicas.serving if replica not in self._alike]
        while self._reference is None and uncompared:
            replica = uncompared.pop(0)
            await self._compare(replica)
            if any_vectors and replica.error is not None:
                # Its vectors are there, and nothing to compare the others with.
                for other in uncompared:
                    self._replicas.leave_out(
                        other, OutageError("there is nothing to compare its vectors with before the first endpoint has answered once")
                    )
                return
        if comparisons := [self._begin(self._compare(replica)) for replica in uncompared]:
            all_done = asyncio.ensure_future(asyncio.wait(comparisons))
            time_out = asyncio.ensure_future(self._first.endpoint.clock.sleep(COMPARISON_WAIT))
            try:
                await asyncio.wait([all_done, time_out], return_when=asyncio.FIRST_COMPLETED)
            finally:
                all_done.cancel()
                time_out.cancel()

    async def _compare(self, replica: Replica[HttpEmbedder]) -> None:
        """Have the known text embedded and compare; the first vector is the reference."""
        embedder = replica.model
        outcome = await embedder.embed_as_is([embedder.prefix(InputType.DOCUMENT) + KNOWN_TEXT], InputType.DOCUMENT)
        self._spent += outcome.usage
        error = outcome.error
        if error is None and not outcome.positions:
            error = EndpointError(outcome.failures[0].message)
        elif error is None:
            [vector] = outcome.vectors
            if self._reference is None:
                if self._keeper is not None:
                    await self._keeper.keep(vector)
                self._reference = vector
            elif not are_alike(vector, self._reference):
                error = SpaceMismatchError("it makes another vector of a known text than the first endpoint", hint=_HINT)
        if error is None:
            self._alike.add(replica)
        elif isinstance(error, (*ABOUT_ENDPOINT, SpaceMismatchError)):
            self._replicas.leave_out(replica, error)
        else:
            raise error

    async def renew_connections(self) -> None:
        """Close the connections that are open, as after the machine was suspended; requests under way keep theirs."""
        await self._replicas.renew_connections()

    async def leave_loop(self) -> None:
        """Let go of what belongs to the running event loop, such as connections."""
        comparisons = list(self._comparisons)
        for comparison in comparisons:
            comparison.cancel()
        await asyncio.gather(*comparisons, return_exceptions=True)
        await self._replicas.aclose()


async def _leave(line: asyncio.Task[tuple[Replica[HttpEmbedder], Reservation]]) -> None:
    line.cancel()
    [ended] = await asyncio.gather(line, return_exceptions=True)
    if isinstance(ended, tuple):
        ended[1].cancel()


_HINT = "Take it out of `endpoints`, or correct its base_url."
