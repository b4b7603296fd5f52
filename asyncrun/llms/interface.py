"""The chat model port: messages in, a completion out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from asyncrun.aio.limits import Limits
from asyncrun.errors import AsyncrunError
from asyncrun.records import Answer, Space
from asyncrun.short_help import ShortHelp, ShortHelpProtocol
from asyncrun.usage import Usage, Waits

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message(metaclass=ShortHelp):
    """One message of a conversation.

    >>> str(Message("user", "Who purrs?"))
    'user: Who purrs?'
    """

    role: Role
    content: str

    def __str__(self) -> str:
        return f"{self.role}: {self.content}"


@dataclass(frozen=True, slots=True)
class Price(metaclass=ShortHelp):
    """USD per million tokens that go in and come out; `cached_input` of those that the server had already read, None: as `input`.

    >>> Price(input=0.15, output=0.6).of(1_000_000, 500_000)
    0.45
    >>> Price(input=1.0, output=4.0, cached_input=0.25).of(1_000_000, 0, cached_tokens=800_000)
    0.4
    """

    input: float
    output: float
    cached_input: float | None = None

    def of(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """Return what so many tokens cost; the cached ones are a part of those that go in."""
        cached = self.input if self.cached_input is None else self.cached_input
        # Divided once: two quotients would add up to 0.44999999999999996.
        return ((input_tokens - cached_tokens) * self.input + cached_tokens * cached + output_tokens * self.output) / 1e6


@dataclass(frozen=True, slots=True)
class Declined(metaclass=ShortHelp):
    """Why one conversation has no answer: `reason` is a word as that of an ItemError.

    >>> completion = Completion(Declined("refused", "I cannot help with that."))
    >>> match completion.answer:
    ...     case Declined(reason=reason):
    ...         print(reason)
    refused
    """

    reason: str
    message: str
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Completion(metaclass=ShortHelp):
    """What came of one conversation, and what it took in every case.

    `answer` is the model's, or why this conversation has none; None where `error` has ended the call early, which says nothing about the
    conversation: AuthError, QuotaError, ThrottledError, OutageError, EndpointError. `model` is who has answered, in the server's own words;
    `worker` the worker of an executor that has asked it, None where there is no executor.

    >>> import asyncio
    >>> from asyncrun.llms import OpenAIChat
    >>> from asyncrun.testing import FakeServer
    >>> async def main():
    ...     async with FakeServer() as server, OpenAIChat(model="m", base_url=server.base_url) as llm:
    ...         return await llm.complete([Message("user", "Hello")])
    >>> completion = asyncio.run(main())
    >>> completion.error is None, completion.usage.requests
    (True, 1)
    """

    answer: Answer | Declined | None = None
    usage: Usage = field(default_factory=Usage)
    waits: Waits = field(default_factory=Waits)
    error: AsyncrunError | None = None
    model: str | None = None
    worker: str | None = None


OnText = Callable[[str], object]
"""Is told the next piece of an answer's text."""


class Llm(Protocol, metaclass=ShortHelpProtocol):
    """What the kinds need of a chat model.

    >>> from asyncrun.llms import OpenAIChat
    >>> llm: Llm = OpenAIChat(model="m", base_url="http://localhost:8080/v1", system="Be brief.")
    >>> llm.messages("Who purrs?")
    (Message(role='system', content='Be brief.'), Message(role='user', content='Who purrs?'))
    """

    provider: str
    model_name: str
    workers: int
    """How many calls of `complete` in flight make sense; the limiter decides how many run."""
    max_output_tokens: int | None
    price: Price | None

    @property
    def rate_limits(self) -> Limits | None:
        """Return what the endpoint allows a minute, None where nothing is known of it."""

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong before anything is sent, such as a key that is not set."""

    @property
    def space(self) -> Space:
        """Return what an answer depends on beside the messages: provider, model and settings, and the host of a self-hosted server."""

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """Return the messages that put a prompt: the system's words before it, where there are any."""

    async def complete(self, messages: Sequence[Message]) -> Completion:
        """Return what came of a conversation; an answer that ended early, was filtered or refused is an answer that says so.

        Raises UsageError as `check` does. What is about the endpoint is the completion's `error`; raised, it is taken to have used nothing.
        """

    async def aclose(self) -> None:
        """Close connections; may be called twice."""

    async def renew_connections(self) -> None:
        """Have new requests make new connections, as after the machine was suspended."""


@runtime_checkable
class StructuredLlm(Llm, Protocol, metaclass=ShortHelpProtocol):
    """A chat model that can be held to a JSON Schema, and be asked for another answer to the same words.

    >>> from asyncrun.llms import OpenAIChat
    >>> isinstance(OpenAIChat(model="m", base_url="http://localhost:8080/v1"), StructuredLlm)
    True
    """

    async def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> Completion:
        """Return what came of a conversation, as `Llm.complete`.

        Args:
            messages: The conversation.
            schema: A JSON Schema that the answer is to fit. It is sent the way the server wants it; whether the answer fits is for the
                caller to see: servers pass over what they do not know.
            seed: What a server draws its words by; one that knows of none is not told.
        """

    def schema_notes(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return sentences about what of a schema the provider does not hold its answers to, as far as is known."""


@runtime_checkable
class BatchLlm(Llm, Protocol, metaclass=ShortHelpProtocol):
    """A chat model whose requests can be written now, sent by another, and whose replies are read later.

    >>> from asyncrun.llms import OpenAIChat
    >>> llm: BatchLlm = OpenAIChat(model="m", base_url="http://localhost:8080/v1")
    >>> llm.request_body([Message("user", "Who purrs?")])
    {'model': 'm', 'messages': [{'role': 'user', 'content': 'Who purrs?'}]}
    """

    def request_body(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> dict[str, Any]:
        """Return the JSON of the request that `complete` would send, without what asks for a stream."""

    def read_reply(self, document: Any) -> Completion:
        """Return what a decoded reply to such a request says, as `complete` would: its cost is that of the same answer online.

        Raises nothing: a reply of another shape, or one that is an error, is a `Declined`.
        """


@runtime_checkable
class StreamingLlm(Llm, Protocol, metaclass=ShortHelpProtocol):
    """A chat model that can tell an answer while it is being written.

    >>> from asyncrun.llms import OpenAIChat
    >>> async def printed(llm: StreamingLlm, question: str) -> Completion:
    ...     return await llm.stream(llm.messages(question), lambda piece: print(piece, end=""))
    >>> isinstance(OpenAIChat(model="m", base_url="http://localhost:8080/v1"), StreamingLlm)
    True
    """

    async def stream(self, messages: Sequence[Message], on_text: OnText) -> Completion:
        """Return what came of a conversation, as `complete` does, and tell the pieces of its text as they come; together they are the text.

        What fails before the first piece may be asked again. After it nothing is: the completion says that the answer is not whole.
        """
