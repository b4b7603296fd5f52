"""Several endpoints that serve one chat model, as one model: each conversation goes where it may go first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from asyncrun.aio.limits import Limits
from asyncrun.endpoints.replicas import ABOUT_ENDPOINT, Replica, Replicas, reserve_at_first
from asyncrun.llms.http_chat import HttpChat
from asyncrun.llms.interface import Completion, Message, OnText
from asyncrun.records import Space
from asyncrun.usage import Usage, Waits

Ask = Callable[[HttpChat], Awaitable[Completion]]
"""Asks one of the endpoints."""
Tokens = Callable[[HttpChat], float]
"""Tells how many tokens one of the endpoints is expected to count."""
logger = logging.getLogger(__name__)


class SeveralChats:
    """Answers at several endpoints at once, each with its own limiter and circuit.

    One that is down or refuses is left out for the rest of the run, with a warning; its conversations go to the others. Answers of one
    model differ from call to call anyway, so that nothing is compared. The space is that of the first.

    Args:
        llms: One an endpoint, alike in all but address, key and limits; one or more.
        warn: Is told which are left out, and why.
    """

    def __init__(self, llms: Sequence[HttpChat], *, warn: Callable[[str], object] = logger.warning) -> None:
        self._replicas = Replicas(llms, warn)
        self._first = llms[0]
        self._trying: set[Replica[HttpChat]] = set()
        self._tried: asyncio.Future[None] | None = None
        self.provider, self.model_name = self._first.provider, self._first.model_name
        self.workers = self._replicas.workers
        self.max_output_tokens, self.price = self._first.max_output_tokens, self._first.price

    @property
    def rate_limits(self) -> Limits:
        """Return what is known of the limits of all endpoints together."""
        return self._replicas.rate_limits

    @property
    def space(self) -> Space:
        """Return the space of the first one."""
        return self._first.space

    @property
    def llms(self) -> list[HttpChat]:
        """Return the models, in the order of their endpoints."""
        return self._replicas.models

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong with one of them."""
        self._replicas.check()

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """Return the messages that put a prompt."""
        return self._first.messages(prompt)

    def schema_notes(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return sentences about what of a schema the provider does not hold its answers to, as far as is known."""
        return self._first.schema_notes(schema)

    def request_body(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> dict[str, Any]:
        """Return the JSON of the request that the first one would send."""
        return self._first.request_body(messages, schema=schema, seed=seed)

    def read_reply(self, document: Any) -> Completion:
        """Return what a decoded reply says, as the port says."""
        return self._first.read_reply(document)

    async def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> Completion:
        """Return what came of a conversation, as the port says; what was used at endpoints that are left out is part of it."""
        return await self._complete(
            lambda llm: llm.complete(messages, schema=schema, seed=seed), lambda llm: llm.tokens_of(messages, schema)
        )

    async def stream(self, messages: Sequence[Message], on_text: OnText) -> Completion:
        """Return what came of a conversation as `complete` does, and tell its text as it comes, all of it from one endpoint."""

        def tell(text: str) -> None:
            # The endpoint is proven with its first word.
            self._wake()
            on_text(text)

        return await self._complete(lambda llm: llm.stream(messages, tell), lambda llm: llm.tokens_of(messages))

    async def _complete(self, ask: Ask, tokens_of: Tokens) -> Completion:
        usage, waits = Usage(), Waits()
        while serving := self._replicas.serving:
            completion = await self._complete_at(serving, ask, tokens_of)
            if completion is None:
                continue
            usage, waits = usage + completion.usage, waits + completion.waits
            if not isinstance(completion.error, ABOUT_ENDPOINT):
                return replace(completion, usage=usage, waits=waits)
        return Completion(None, usage, waits, self._replicas.none_left())

    async def _complete_at(self, serving: Sequence[Replica[HttpChat]], ask: Ask, tokens_of: Tokens) -> Completion | None:
        """Return what one of the endpoints makes of the conversation, None where that is not to be had there any more."""
        proven = [replica for replica in serving if replica.model.endpoint.proven]
        new = next((replica for replica in serving if replica not in proven and replica not in self._trying), None)
        if new is not None:
            self._trying.add(new)
            try:
                return await self._ask(new, ask)
            finally:
                self._trying.discard(new)
                self._wake()
        if not proven:
            await self._first_tried()
            return None
        tokens = max(tokens_of(replica.model) for replica in proven)
        output = max(replica.model.expected_output for replica in proven)
        chosen, reservation = await reserve_at_first(proven, tokens=tokens, inputs=1, output_tokens=output)
        with reservation.held():
            return None if chosen.error is not None else await self._ask(chosen, ask)

    async def _ask(self, replica: Replica[HttpChat], ask: Ask) -> Completion:
        completion = await ask(replica.model)
        if isinstance(completion.error, ABOUT_ENDPOINT):
            self._replicas.leave_out(replica, completion.error)
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
        await self._replicas.aclose()

    async def renew_connections(self) -> None:
        """Have new requests make new connections, as after the machine was suspended."""
        await self._replicas.renew_connections()
