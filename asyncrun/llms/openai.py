"""Chat completions as OpenAI speaks them, and most servers after it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Unpack

import orjson

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.address import auth_header, check_key, fill, find_address, join, with_query
from asyncrun.endpoints.endpoint import Refused, Replied
from asyncrun.endpoints.options import EndpointOptions, build_endpoint
from asyncrun.endpoints.replies import Refusals
from asyncrun.errors import AsyncrunError, UsageError
from asyncrun.humanize import did_you_mean
from asyncrun.llms.interface import Completion, Declined, Message, Price
from asyncrun.llms.providers import DEPLOYMENT, NEW_LIMIT, OLD_LIMIT, PROVIDERS, ChatProvider
from asyncrun.llms.reply import CONTENT_FILTER, filtered, read_answer
from asyncrun.packing import TokensPerByte, byte_size
from asyncrun.records import Answer, Space
from asyncrun.usage import Usage, Waits

_UNKNOWN_NAME = re.compile(r"unsupported|unrecognized|unknown|unexpected|not (supported|permitted|allowed)|extra|additional", re.IGNORECASE)


def _row(provider: str) -> ChatProvider:
    row = PROVIDERS.get(provider)
    if row is None:
        raise UsageError(
            f"nothing is known of chat completions of {provider!r}{did_you_mean(provider, PROVIDERS)}",
            hint="`openai` stands for any server that speaks its dialect.",
        )
    return row


class OpenAIChat:
    """Answers with OpenAI, or with any server that has its `/chat/completions`.

    Args:
        model: The name of the model (azure: of the deployment).
        provider: A row of `providers.PROVIDERS`.
        api_key: Default: the provider's own variable, at the provider's own address only; elsewhere no key is sent unless it is given here.
        base_url: Up to and without `/chat/completions`; default: the provider's, or what its environment variable says.
        temperature: 0 to 2; None: what the model has by default.
        max_output_tokens: Most tokens of an answer; None: what the model has by default.
        system: Words that stand before every prompt.
        price: USD per million tokens; None when it is not known.
        api_version: Of Azure's deployments.
        params: A query string; keys do not belong there.
        extra_body: Merged into the request's JSON.
        environ: Where the variable of the key is looked for; default: `os.environ`.
        options: How the endpoint is treated: see `EndpointOptions`.

    >>> OpenAIChat(model="m", base_url="http://localhost:8080/v1").space.host
    'localhost:8080'

    Raises UsageError for a provider that is not in the table, and for an address or a key that cannot be used.
    """

    def __init__(
        self,
        *,
        model: str,
        provider: str = "openai",
        api_key: str | None = None,
        base_url: str | None = None,
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        system: str | None = None,
        price: Price | None = None,
        api_version: str | None = None,
        params: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        row = _row(provider)
        address = find_address(row.vendor, base_url, api_key, os.environ if environ is None else environ)
        path = DEPLOYMENT if provider == "azure" and api_version else row.path
        query = {**({"api-version": api_version} if api_version else {}), **(params or {})}
        self.provider, self.model_name = provider, model
        self.endpoint = build_endpoint(
            with_query(join(address.base_url, fill(path, model)), query),
            auth_header(row.vendor, address.key),
            options,
        )
        self.workers = self.endpoint.workers
        self.max_output_tokens = max_output_tokens
        self.price = price
        self._system = system
        self._extra = dict(extra_body or {})
        self._body: dict[str, Any] = {"model": model} | ({} if temperature is None else {"temperature": temperature})
        self._limit = row.limit
        self._limit_is_learned = False
        self._refusals = Refusals()
        self._check_key = partial(check_key, row.vendor, address, list(options.get("headers", {})))
        self._per_byte = TokensPerByte()
        settings = {**self._body, "max_output_tokens": max_output_tokens, **self._extra}
        host = self.endpoint.host if row.vendor.self_hosted or not address.own else None
        self._space = Space(provider, model, extra_body=settings, host=host)

    @property
    def space(self) -> Space:
        """Return what an answer depends on beside the messages."""
        return self._space

    @property
    def rate_limits(self) -> Limits:
        """Return what the endpoint allows a minute, as far as it is known."""
        return self.endpoint.limiter.known

    def check(self) -> None:
        """Raise UsageError when the provider's own address is meant and there is no key."""
        self._check_key()

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """Return the messages that put a prompt."""
        return (*([Message("system", self._system)] if self._system else ()), Message("user", prompt))

    def tokens_of(self, messages: Sequence[Message]) -> float:
        """Return how many tokens a limit is expected to count for the messages: with the most that an answer may have."""
        return self._per_byte.mean * _size(messages) + (self.max_output_tokens or 0)

    async def complete(self, messages: Sequence[Message]) -> Completion:
        """Return what came of a conversation, as the port says."""
        self.check()
        circuit, since = self.endpoint.circuit, None
        requests, waits, came, ended = 0, Waits(), None, None
        try:
            while came is None:
                async with self.endpoint.canary():
                    since = circuit.successes if since is None else since
                    came = await self._ask(messages)
                    requests, waits = requests + came.usage.requests, waits + came.waits
                    if isinstance(came, Refused) and self._goes_on(came, others_succeeded=circuit.successes > since):
                        came = None
        except AsyncrunError as error:
            ended = error
        usage = Usage(requests, max(requests - 1, 0))
        if ended is not None or came is None:
            return Completion(None, usage, waits, ended)
        if isinstance(came, Refused):
            return Completion(Declined(came.verdict.reason, came.message, requests), usage, waits)
        answer, cost = came.value
        return Completion(answer, replace(usage, tokens=answer.tokens, cost=cost), waits)

    async def aclose(self) -> None:
        """Close the connections of the running loop; may be called twice."""
        await self.endpoint.leave_loop()

    async def renew_connections(self) -> None:
        """Have new requests make new connections, as after the machine was suspended."""
        await self.endpoint.renew_connections()

    async def _ask(self, messages: Sequence[Message]) -> Replied[tuple[Answer, float | None]] | Refused:
        """Ask until there is an answer (with what it has cost) or a refusal."""
        limit = {} if self.max_output_tokens is None else {self._limit: self.max_output_tokens}
        body = {**self._body, "messages": [asdict(message) for message in messages], **limit, "stream": False, **self._extra}
        came = await self.endpoint.call(
            orjson.dumps(body),
            lambda reply: (read_answer(reply.document), reply.cost),
            tokens=self.tokens_of(messages),
            used=lambda value: value[0].tokens or None,
        )
        if isinstance(came, Refused):
            if not filtered(came.verdict.words) or came.verdict.failure not in (FailureClass.UNKNOWN, FailureClass.ITEM):
                return came
            came = Replied((Answer(None, CONTENT_FILTER), None), came.usage, came.waits)
        self.endpoint.proven = True
        answer, cost = came.value
        if answer.input_tokens:
            self._per_byte.add(tokens=answer.input_tokens, size=_size(messages))
        if cost is None and self.price is not None:
            cost = self.price.of(answer.input_tokens, answer.output_tokens)
        return replace(came, value=(answer, cost))

    def _goes_on(self, refused: Refused, *, others_succeeded: bool) -> bool:
        """Tell whether the same messages are worth another try; raise what the refusal says about the endpoint."""
        if refused.error is not None:
            raise refused.error
        if refused.verdict.failure is FailureClass.TRANSIENT:
            # When nothing has succeeded meanwhile it says nothing about this conversation; the circuit counts how often this happens.
            return not others_succeeded
        if self._learn_limit(refused.verdict.words):
            return True
        if not self.endpoint.proven and (same := self._refusals.add(refused.message, refused.verdict)) is not None:
            raise same
        return False

    def _learn_limit(self, words: str) -> bool:
        """Use the other name for the most tokens of an answer when the server does not know this one; once."""
        if self._limit_is_learned or self.max_output_tokens is None or self._limit not in words or not _UNKNOWN_NAME.search(words):
            return False
        self._limit = OLD_LIMIT if self._limit == NEW_LIMIT else NEW_LIMIT
        self._limit_is_learned = True
        return True


def _size(messages: Sequence[Message]) -> int:
    return sum(byte_size(message.content) for message in messages)
