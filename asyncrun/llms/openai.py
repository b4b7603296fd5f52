"""Chat completions as OpenAI speaks them, and most servers after it: a row for each provider, and the model."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self, Unpack

import orjson

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints import vendors
from asyncrun.endpoints.address import auth_header, check_key, find_address, join, with_model, with_query
from asyncrun.endpoints.endpoint import Canary, Endpoint, EndpointOptions
from asyncrun.endpoints.replies import CallAnswer, CallFailure, DecodedReply, RepeatedRefusals
from asyncrun.endpoints.streamed_call import StreamedCall
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import ArgumentError, AsyncrunError
from asyncrun.humanize import did_you_mean
from asyncrun.llms.interface import Completion, Declined, Message, OnText, Price
from asyncrun.llms.openai_replies import CONTENT_FILTER, AnswerStream, filtered, read_answer, read_model
from asyncrun.packing import TokensPerByte, byte_size
from asyncrun.records import Answer, Space
from asyncrun.short_help import ShortHelp
from asyncrun.usage import Usage, Waits

_UNKNOWN_NAME = re.compile(r"unsupported|unrecognized|unknown|unexpected|not (supported|permitted|allowed)|extra|additional", re.IGNORECASE)

HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair."""
NEW_LIMIT = "max_completion_tokens"
OLD_LIMIT = "max_tokens"
STREAM_OPTIONS = "stream_options"
DEPLOYMENT = "/openai/deployments/{model}/chat/completions"


@dataclass(frozen=True, slots=True)
class ChatProvider:
    """One row.

    Attributes:
        vendor: Who is asked, and with which key.
        path: Where requests go, behind the address.
        limit: The first name that is tried for the most tokens of an answer. Servers that know only the old one and pass over what they do
            not know would answer without a limit.
        counts_streams: Whether a stream is asked to end with its tokens (`stream_options`). Mistral counts unasked, and refuses what it
            does not know.
    """

    vendor: Vendor
    path: str = "/chat/completions"
    limit: str = NEW_LIMIT
    counts_streams: bool = True


_ROWS = (
    ChatProvider(vendors.OPENAI),
    ChatProvider(vendors.AZURE, "/openai/v1/chat/completions"),
    ChatProvider(vendors.MISTRAL, limit=OLD_LIMIT, counts_streams=False),
    ChatProvider(replace(vendors.HEROKU, addresses=("INFERENCE_URL",), keys=("INFERENCE_KEY",)), "/v1/chat/completions", OLD_LIMIT, False),
    ChatProvider(vendors.GEMINI, "/openai/chat/completions", OLD_LIMIT),
    ChatProvider(vendors.OLLAMA, "/v1/chat/completions", OLD_LIMIT),
    ChatProvider(vendors.VLLM),
    ChatProvider(vendors.LLAMACPP, limit=OLD_LIMIT),
    ChatProvider(vendors.LMSTUDIO, limit=OLD_LIMIT),
    ChatProvider(vendors.LITELLM),
)
CHAT_PROVIDERS: Mapping[str, ChatProvider] = {row.vendor.name: row for row in _ROWS}


class _Answered(NamedTuple):
    """An answer, what it has cost, and which model the server says it is of."""

    answer: Answer
    cost: float | None = None
    model: str | None = None


def _answered(reply: DecodedReply) -> _Answered:
    return _Answered(read_answer(reply.document), reply.cost, read_model(reply.document))


class OpenAIChat(metaclass=ShortHelp):
    """Answers with OpenAI, or with any server that has its `/chat/completions`.

    Args:
        model: The name of the model (azure: of the deployment).
        provider: A row of `CHAT_PROVIDERS`.
        api_key: Default: the provider's own variable, at the provider's own address only; elsewhere no key is sent unless it is given here.
        base_url: Up to and without `/chat/completions`; default: the provider's, or what its environment variable says.
        temperature: 0 to 2; None: what the model has by default.
        max_output_tokens: Most tokens of an answer; None: what the model has by default.
        system: Words that stand before every prompt.
        price: USD per million tokens; None when it is not known.
        api_version: Of Azure's deployments.
        max_silence: Most seconds between two pieces of a streamed answer; None: the timeout alone.
        params: A query string; keys do not belong there.
        extra_body: Merged into the request's JSON.
        environ: Where the variable of the key is looked for; default: `os.environ`.
        options: How the endpoint is treated: see `EndpointOptions`.

    >>> OpenAIChat(model="m", base_url="http://localhost:8080/v1").space.host
    'localhost:8080'

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
        row = CHAT_PROVIDERS.get(provider)
        if row is None:
            words = f"nothing is known of chat completions of {provider!r}{did_you_mean(provider, CHAT_PROVIDERS)}"
            raise ArgumentError(words, hint="`openai` stands for any server that speaks its dialect.")
        address = find_address(row.vendor, base_url, api_key, os.environ if environ is None else environ)
        path = DEPLOYMENT if provider == "azure" and api_version else row.path
        query = {**({"api-version": api_version} if api_version else {}), **(params or {})}
        self.provider, self.model_name = provider, model
        url = with_query(join(address.base_url, with_model(path, model)), query)
        self.endpoint = Endpoint(url, auth_header(row.vendor, address.key), options)
        self.workers = self.endpoint.workers
        self.max_output_tokens = max_output_tokens
        self.price = price
        self._system = system
        self._extra = dict(extra_body or {})
        self._body: dict[str, Any] = {"model": model} | ({} if temperature is None else {"temperature": temperature})
        self._limit = row.limit
        self._limit_is_learned = False
        self._max_silence = max_silence
        self._stream_options = {STREAM_OPTIONS: {"include_usage": True}} if row.counts_streams else {}
        self._refusals = RepeatedRefusals()
        self._check_key = partial(check_key, row.vendor, address, list(options.get("headers", {})))
        self._per_byte = TokensPerByte()
        settings = {**self._body, "max_output_tokens": max_output_tokens, **self._extra}
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

    def tokens_of(self, messages: Sequence[Message]) -> float:
        """Return how many tokens a limit is expected to count for the messages: with the most that an answer may have."""
        return self._per_byte.mean * _size(messages) + (self.max_output_tokens or 0)

    async def complete(self, messages: Sequence[Message]) -> Completion:
        """Return what came of a conversation, as the port says."""
        return await self._complete(messages, None)

    async def stream(self, messages: Sequence[Message], on_text: OnText) -> Completion:
        """Return what came of a conversation, as the port says, and tell its text as it comes."""
        return await self._complete(messages, on_text)

    async def _complete(self, messages: Sequence[Message], on_text: OnText | None) -> Completion:
        self.check()
        if any(HALF_CHARACTER.search(message.content) for message in messages):
            return Completion(Declined("bad_text", "the text holds half a surrogate pair, which is not Unicode", attempts=0))
        circuit, since = self.endpoint.circuit, None
        requests, waits, came, error = 0, Waits(), None, None
        while came is None and error is None:
            async with self.endpoint.canary() as canary:
                if canary.error is None:
                    since = circuit.successes if since is None else since
                    came = await self._ask(messages, None if on_text is None else self._telling(on_text, canary))
                    requests, waits = requests + came.usage.requests, waits + came.waits
                    if isinstance(came, CallFailure):
                        again, canary.error = self._goes_on(came, others_succeeded=circuit.successes > since)
                        came = None if again else came
            error = canary.error
        usage = Usage(requests, max(requests - 1, 0))
        if error is not None or came is None:
            return Completion(None, usage, waits, error)
        if isinstance(came, CallFailure):
            return Completion(Declined(came.verdict.reason, came.message, requests), usage, waits)
        answer, cost, model = came.value
        return Completion(answer, replace(usage, tokens=answer.tokens, cost=cost), waits, model=model, worker=came.worker)

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

    async def _ask(self, messages: Sequence[Message], on_text: OnText | None) -> CallAnswer[_Answered] | CallFailure:
        """Ask until there is an answer or a failure."""
        limit = {} if self.max_output_tokens is None else {self._limit: self.max_output_tokens}
        body = {**self._body, "messages": [asdict(message) for message in messages], **limit}
        counting = {} if on_text is None else self._stream_options
        body |= {**counting, **self._extra, "stream": on_text is not None}
        came = await self.endpoint.call(
            orjson.dumps(body),
            _answered,
            tokens=self.tokens_of(messages),
            used=lambda value: value.answer.tokens or None,
            streamed=None if on_text is None else StreamedCall(partial(AnswerStream, on_text), self._max_silence),
        )
        if isinstance(came, CallFailure):
            if not filtered(came.verdict.words) or came.verdict.failure not in (FailureClass.UNKNOWN, FailureClass.ITEM):
                return came
            came = CallAnswer(_Answered(Answer(None, CONTENT_FILTER)), came.usage, came.waits)
        self.endpoint.proven = True
        answer, cost, _ = came.value
        if answer.input_tokens:
            self._per_byte.add(tokens=answer.input_tokens, size=_size(messages))
        if cost is None and self.price is not None:
            cost = self.price.of(answer.input_tokens, answer.output_tokens)
        return replace(came, value=came.value._replace(cost=cost))

    def _telling(self, on_text: OnText, canary: Canary) -> OnText:
        """Return what tells a piece of a text; whoever waits for the first answer need not wait for its last word."""

        def tell(text: str) -> None:
            self.endpoint.proven = True
            canary.ended.set()
            on_text(text)

        return tell

    def _goes_on(self, failed: CallFailure, *, others_succeeded: bool) -> tuple[bool, AsyncrunError | None]:
        """Tell whether the same messages are worth another try, and what the failure says about the endpoint."""
        if failed.error is not None:
            return False, failed.error
        if failed.verdict.failure is FailureClass.TRANSIENT:
            # When nothing has succeeded meanwhile it says nothing about this conversation; the circuit counts how often this happens.
            return not others_succeeded, None
        if self._learn_names(failed.verdict.words):
            return True, None
        return False, None if self.endpoint.proven else self._refusals.add(failed.message, failed.verdict)

    def _learn_names(self, words: str) -> bool:
        """Use another name, or none, for what the server does not know of a request; tell whether that is new, as it is once a name."""
        if not _UNKNOWN_NAME.search(words):
            return False
        if self._stream_options and STREAM_OPTIONS in words:
            self._stream_options = {}
            return True
        if self._limit_is_learned or self.max_output_tokens is None or self._limit not in words:
            return False
        self._limit = OLD_LIMIT if self._limit == NEW_LIMIT else NEW_LIMIT
        self._limit_is_learned = True
        return True


def _size(messages: Sequence[Message]) -> int:
    return sum(byte_size(message.content) for message in messages)
