"""A chat model behind HTTP, whatever its dialect: it asks, learns what the server takes, and counts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self, Unpack

import orjson

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.address import auth_header, check_key, find_address, join, with_model, with_query
from asyncrun.endpoints.classify import classify, is_filtered
from asyncrun.endpoints.endpoint import Canary, Endpoint, EndpointOptions
from asyncrun.endpoints.replies import BadReplyError, CallAnswer, CallFailure, DecodedReply, RepeatedRefusals
from asyncrun.endpoints.streamed_call import StreamedCall
from asyncrun.errors import ArgumentError, AsyncrunError, Reason
from asyncrun.finish_reasons import CONTENT_FILTER
from asyncrun.humanize import did_you_mean
from asyncrun.llms.anthropic_dialect import MessagesDialect
from asyncrun.llms.interface import Completion, Declined, Message, OnText, Price
from asyncrun.llms.openai_dialect import ChatCompletionsDialect
from asyncrun.llms.openai_replies import read_model
from asyncrun.llms.providers import CHAT_PROVIDERS, DEPLOYMENT, ChatProvider
from asyncrun.llms.schema_rules import misfits
from asyncrun.llms.wire import STREAM_OPTIONS, ChatDialect, ChatRequest, SentSchema, Terms, learn
from asyncrun.packing import TokensPerByte, byte_size
from asyncrun.records import Answer, Space
from asyncrun.short_help import ShortHelp
from asyncrun.usage import Usage, Waits

HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair."""
LEARNED_FROM = (FailureClass.UNKNOWN, FailureClass.ITEM, FailureClass.CONFIG)
MOST_SCHEMAS = 16
"""Schemas that are remembered: a run has one for a job."""


class _Answered(NamedTuple):
    """An answer, what it has cost, and which model the server says it is of."""

    answer: Answer
    cost: float | None = None
    model: str | None = None


def _answered(dialect: ChatDialect, reply: DecodedReply) -> _Answered:
    return _Answered(dialect.read(reply.document), reply.cost, read_model(reply.document))


DIALECTS: Mapping[str, ChatDialect] = {"openai": ChatCompletionsDialect(), "anthropic": MessagesDialect()}


class HttpChat(metaclass=ShortHelp):
    """Answers with a provider of `CHAT_PROVIDERS`.

    Args:
        model: The name of the model (azure: of the deployment).
        provider: A row of `CHAT_PROVIDERS`.
        api_key: Default: the provider's own variable, at the provider's own address only; elsewhere no key is sent unless it is given here.
        base_url: Up to and without `/chat/completions`; default: the provider's, or what its environment variable says.
        temperature: 0 to 2; None: what the model has by default.
        max_output_tokens: Most tokens of an answer; None: what the model has by default (anthropic, which demands a number: 4,096).
        system: Words that stand before every prompt.
        price: USD per million tokens; None when it is not known.
        api_version: Of Azure's deployments.
        max_silence: Most seconds between two pieces of a streamed answer; None: the timeout alone.
        params: A query string; keys do not belong there.
        extra_body: Merged into the request's JSON.
        environ: Where the variable of the key is looked for; default: `os.environ`.
        options: How the endpoint is treated: see `EndpointOptions`.

    >>> HttpChat(model="m", provider="mistral").endpoint.url
    'https://api.mistral.ai/v1/chat/completions'

    Raises ArgumentError for a provider that is not in the table, and for an address or a key that cannot be used.
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
        max_silence: float | None = None,
        params: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        row = _row_of(provider)
        address = find_address(row.vendor, base_url, api_key, os.environ if environ is None else environ)
        path = DEPLOYMENT if provider == "azure" and api_version else row.path
        query = {**({"api-version": api_version} if api_version else {}), **(params or {})}
        url = with_query(join(address.base_url, with_model(path, model)), query)
        self.provider, self.model_name, self.price = provider, model, price
        self.endpoint = Endpoint(url, {**row.headers, **auth_header(row.vendor, address.key)}, options)
        self.workers = self.endpoint.workers
        self.max_output_tokens = max_output_tokens or row.max_output_tokens
        self._system = system
        self._row, self._dialect, self._terms = row, DIALECTS[row.dialect], row.terms
        self._fields: dict[str, Any] = {"model": model} | ({} if temperature is None else {"temperature": temperature})
        self._extra = dict(extra_body or {})
        self._max_silence = max_silence
        self._schemas: dict[int, SentSchema] = {}
        self._refusals = RepeatedRefusals()
        self._check_key = partial(check_key, row.vendor, address, list(options.get("headers", {})))
        self._per_byte = TokensPerByte()
        self._answers = self._written = 0
        settings = {**self._fields, "max_output_tokens": self.max_output_tokens, **self._extra}
        host = self.endpoint.host if row.vendor.self_hosted or not address.own else None
        self.space = Space(provider, model, extra_body=settings, host=host)

    @property
    def rate_limits(self) -> Limits:
        """Return what the endpoint allows a minute, as far as it is known."""
        return self.endpoint.limiter.known

    def check(self) -> None:
        """Raise ArgumentError when the provider's own address is meant and there is no key."""
        self._check_key()

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """Return the messages that put a prompt."""
        return (*([Message("system", self._system)] if self._system else ()), Message("user", prompt))

    def schema_notes(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return sentences about what of a schema the provider does not hold its answers to, as far as is known."""
        return () if self._row.rules is None else tuple(misfits(schema, self._row.rules))

    @property
    def expected_output(self) -> float:
        """Return how many tokens of an answer a limit is expected to count: the most that it may have, or what answers have had so far."""
        if self.max_output_tokens is not None and (self._row.reserves or not self._answers):
            return self.max_output_tokens
        return self._written / self._answers if self._answers else 0.0

    def tokens_of(self, messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> float:
        """Return how many tokens a limit is expected to count for the messages and their answer."""
        return self._tokens(self._request(messages, schema, None))

    def request_body(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> dict[str, Any]:
        """Return the JSON of the request that `complete` would send, without what asks for a stream."""
        extra = {name: value for name, value in self._extra.items() if name not in ("stream", STREAM_OPTIONS)}
        return {**self._dialect.write(self._request(messages, schema, seed), self._terms), **extra}

    def read_reply(self, document: Any) -> Completion:
        """Return what a decoded reply says, as the port says."""
        if isinstance(document, dict) and document.get("error"):
            verdict = classify(200, {}, document, "")
            if is_filtered(verdict.words):
                return Completion(Answer(None, CONTENT_FILTER))
            return Completion(Declined(verdict.reason, self.endpoint.shown(verdict.words)))
        try:
            answer = self._dialect.read(document)
        except BadReplyError as error:
            return Completion(Declined(Reason.BAD_RESPONSE, self.endpoint.shown(str(error))))
        usage = Usage(tokens=answer.tokens, cost=self._cost(answer), output_tokens=answer.output_tokens)
        return Completion(answer, usage, model=read_model(document))

    async def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> Completion:
        """Return what came of a conversation, as the port says."""
        return await self._complete(self._request(messages, schema, seed), None)

    async def stream(self, messages: Sequence[Message], on_text: OnText) -> Completion:
        """Return what came of a conversation, as the port says, and tell its text as it comes."""
        return await self._complete(self._request(messages, None, None), on_text)

    async def _complete(self, request: ChatRequest, on_text: OnText | None) -> Completion:
        self.check()
        if any(HALF_CHARACTER.search(message.content) for message in request.messages):
            return Completion(Declined("bad_text", "the text holds half a surrogate pair, which is not Unicode", attempts=0))
        circuit, since = self.endpoint.circuit, None
        requests, waits, came, error = 0, Waits(), None, None
        while came is None and error is None:
            async with self.endpoint.canary() as canary:
                if canary.error is None:
                    since = circuit.successes if since is None else since
                    terms = self._terms
                    came = await self._ask(request, terms, None if on_text is None else self._telling(on_text, canary))
                    requests, waits = requests + came.usage.requests, waits + came.waits
                    if isinstance(came, CallFailure):
                        learned = self._learn(came, request, terms)
                        again, canary.error = (True, None) if learned else self._goes_on(came, others_succeeded=circuit.successes > since)
                        came = None if again else came
            error = canary.error
        usage = Usage(requests, max(requests - 1, 0))
        if error is not None or came is None:
            return Completion(None, usage, waits, error)
        if isinstance(came, CallFailure):
            return Completion(Declined(came.verdict.reason, came.message, requests), usage, waits)
        answer, cost, model = came.value
        used = Usage(usage.requests, usage.retries, answer.tokens, cost, answer.output_tokens)
        return Completion(answer, used, waits, model=model, worker=came.worker)

    async def aclose(self) -> None:
        """Close the connections of the running loop; may be called twice."""
        await self.endpoint.leave_loop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def renew_connections(self) -> None:
        """Have new requests make new connections, as after the machine was suspended."""
        await self.endpoint.renew_connections()

    async def _ask(self, request: ChatRequest, terms: Terms, on_text: OnText | None) -> CallAnswer[_Answered] | CallFailure:
        """Ask until there is an answer or a failure."""
        counting = {} if on_text is None or not terms.counts_streams else {STREAM_OPTIONS: {"include_usage": True}}
        body = {**self._dialect.write(request, terms), **counting, **self._extra, "stream": on_text is not None}
        came = await self.endpoint.call(
            orjson.dumps(body),
            partial(_answered, self._dialect),
            tokens=self._tokens(request),
            used=lambda value: (value.answer.tokens, value.answer.output_tokens) if value.answer.tokens else None,
            output_tokens=self.expected_output,
            streamed=None if on_text is None else StreamedCall(partial(self._dialect.stream, on_text), self._max_silence),
        )
        if isinstance(came, CallFailure):
            if not is_filtered(came.verdict.words) or came.verdict.failure not in (FailureClass.UNKNOWN, FailureClass.ITEM):
                return came
            came = CallAnswer(_Answered(Answer(None, CONTENT_FILTER)), came.usage, came.waits)
        self.endpoint.proven = True
        answer, cost, model = came.value
        if answer.input_tokens:
            self._per_byte.add(tokens=answer.input_tokens, size=_size(request))
            self._answers, self._written = self._answers + 1, self._written + answer.output_tokens
        answered = _Answered(answer, self._cost(answer) if cost is None else cost, model)
        return CallAnswer(answered, came.usage, came.waits, came.worker)

    def _request(self, messages: Sequence[Message], schema: Mapping[str, Any] | None, seed: int | None) -> ChatRequest:
        return ChatRequest(self._fields, messages, self.max_output_tokens, None if schema is None else self._looked_at(schema), seed)

    def _looked_at(self, schema: Mapping[str, Any]) -> SentSchema:
        """Return what is known of a schema, which a job sends with every row."""
        known = self._schemas.get(id(schema))
        if known is None or known.document is not schema:
            if len(self._schemas) >= MOST_SCHEMAS:
                self._schemas.clear()
            known = self._schemas[id(schema)] = SentSchema.of(schema, self._row.rules)
        return known

    def _tokens(self, request: ChatRequest) -> float:
        return self._per_byte.mean * _size(request) + self.expected_output

    def _cost(self, answer: Answer) -> float | None:
        return None if self.price is None else self.price.of(answer.input_tokens, answer.output_tokens, answer.cached_tokens)

    def _telling(self, on_text: OnText, canary: Canary) -> OnText:
        """Return what tells a piece of a text; whoever waits for the first answer need not wait for its last word."""

        def tell(text: str) -> None:
            self.endpoint.proven = True
            canary.ended.set()
            on_text(text)

        return tell

    def _learn(self, failed: CallFailure, request: ChatRequest, sent: Terms) -> bool:
        """Learn from a refusal what the server takes; tell whether the same messages are worth another try for that."""
        if failed.verdict.failure not in LEARNED_FROM:
            return False
        learned = learn(sent, request, self._dialect.form(request.schema, sent) if request.schema else None, failed.verdict.words)
        if learned is not None and self._terms is sent:
            self._terms = learned
        return learned is not None

    def _goes_on(self, failed: CallFailure, *, others_succeeded: bool) -> tuple[bool, AsyncrunError | None]:
        """Tell whether the same messages are worth another try, and what the failure says about the endpoint."""
        if failed.error is not None:
            return False, failed.error
        if failed.verdict.failure is FailureClass.TRANSIENT:
            # When nothing has succeeded meanwhile it says nothing about this conversation; the circuit counts how often this happens.
            return not others_succeeded, None
        return False, None if self.endpoint.proven else self._refusals.add(failed.message, failed.verdict)


def _row_of(provider: str) -> ChatProvider:
    row = CHAT_PROVIDERS.get(provider)
    if row is None:
        words = f"nothing is known of chat completions of {provider!r}{did_you_mean(provider, CHAT_PROVIDERS)}"
        raise ArgumentError(words, hint="`openai` stands for any server that speaks its dialect.")
    return row


def _size(request: ChatRequest) -> int:
    return sum(byte_size(message.content) for message in request.messages) + (request.schema.size if request.schema else 0)
