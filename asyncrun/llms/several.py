"""Several places that serve one chat model, as one: each conversation goes where it may go first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from asyncrun.aio.limits import Limits
from asyncrun.aio.permit import reserve_first
from asyncrun.endpoints.endpoint import MAX_WORKERS
from asyncrun.endpoints.left_out import ABOUT_ENDPOINT, none_left
from asyncrun.errors import AsyncrunError
from asyncrun.llms.interface import Completion, Message
from asyncrun.llms.openai import OpenAIChat
from asyncrun.records import Space, Usage, Waits

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Place:
    """One of the places; `trying` says that its first request is on its way, `error` why it is left out."""

    llm: OpenAIChat
    trying: bool = False
    error: AsyncrunError | None = None

    @property
    def proven(self) -> bool:
        return self.llm.endpoint.proven and self.error is None


class SeveralChats:
    """Answers with several places at once, each with its own limiter and circuit.

    A place that is down or refuses is left out for the rest of the run, with a warning; its conversations go to the others. Answers of one
    model differ from call to call anyway, so that nothing is compared. The space is that of the first place.

    Args:
        llms: One a place, alike in all but address, key and limits; one or more.
        warn: Is told which places are left out, and why.
    """

    def __init__(self, llms: Sequence[OpenAIChat], *, warn: Callable[[str], object] = logger.warning) -> None:
        self._places = [_Place(llm) for llm in llms]
        for llm in llms:
            llm.endpoint.hide_secrets_of([other.endpoint for other in llms])
        self._first = llms[0]
        self._warn = warn
        self._tried: asyncio.Future[None] | None = None
        self.provider, self.model_name = self._first.provider, self._first.model_name
        self.workers = min(sum(llm.workers for llm in llms), MAX_WORKERS)
        self.max_output_tokens, self.price = self._first.max_output_tokens, self._first.price

    @property
    def rate_limits(self) -> Limits:
        """Return what is stated about the limits of all places together."""
        return Limits.together([place.llm.rate_limits for place in self._places])

    @property
    def space(self) -> Space:
        """Return the space of the first place."""
        return self._first.space

    @property
    def llms(self) -> list[OpenAIChat]:
        """Return the places, in their order."""
        return [place.llm for place in self._places]

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong with one of the places."""
        for place in self._places:
            place.llm.check()

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """Return the messages that put a prompt."""
        return self._first.messages(prompt)

    async def complete(self, messages: Sequence[Message]) -> Completion:
        """Return what came of a conversation, as the port says; what places have used that are left out is part of it."""
        usage, waits = Usage(), Waits()
        while left := [place for place in self._places if place.error is None]:
            completion = await self._complete_at(left, messages)
            if completion is None:
                continue
            usage, waits = usage + completion.usage, waits + completion.waits
            if not isinstance(completion.error, ABOUT_ENDPOINT):
                return replace(completion, usage=usage, waits=waits)
        error = none_left({place.llm.endpoint.host: place.error for place in self._places if place.error is not None})
        return Completion(None, usage, waits, error)

    async def _complete_at(self, places: Sequence[_Place], messages: Sequence[Message]) -> Completion | None:
        """Return what one of the places makes of the conversation, None where that is not to be had there any more."""
        new = next((place for place in places if not place.proven and not place.trying), None)
        if new is not None:
            new.trying = True
            try:
                return await self._ask(new, messages)
            finally:
                new.trying = False
                self._wake()
        if not (proven := [place for place in places if place.proven]):
            await self._first_tried()
            return None
        tokens = max(place.llm.tokens_of(messages) for place in proven)
        which, booking = await reserve_first([place.llm.endpoint.limiter for place in proven], tokens=tokens, inputs=1)
        with booking.held():
            return None if proven[which].error is not None else await self._ask(proven[which], messages)

    async def _ask(self, place: _Place, messages: Sequence[Message]) -> Completion:
        completion = await place.llm.complete(messages)
        error = completion.error
        if isinstance(error, ABOUT_ENDPOINT) and place.error is None:
            place.error = error
            if any(other.error is None for other in self._places):
                self._warn(f"{place.llm.endpoint.host} is left out: {error.message}")
        return completion

    async def _first_tried(self) -> None:
        """Wait until one of the first requests has ended."""
        if self._tried is None or self._tried.done():
            self._tried = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._tried)

    def _wake(self) -> None:
        if self._tried is not None and not self._tried.done():
            self._tried.set_result(None)

    async def aclose(self) -> None:
        """Close the connections of the running loop; may be called twice."""
        for place in self._places:
            await place.llm.aclose()

    async def renew_connections(self) -> None:
        """Have new requests make new connections, as after the machine was suspended."""
        for place in self._places:
            await place.llm.renew_connections()
