"""What programs call a chat model by: LlamaIndex's methods, with and without `await`; each call is an LLM event."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

from asyncrun.aio.bridge import run_then_leave
from asyncrun.aio.producer import Work, produced, produced_in_thread
from asyncrun.aio.retry import RetryPolicy
from asyncrun.callbacks.base import CallbackManager, current_manager
from asyncrun.callbacks.event_context import request_event
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.endpoints.endpoint import EndpointOptions
from asyncrun.errors import ArgumentError
from asyncrun.llms.interface import Completion, Llm, Message, Price, StreamingLlm
from asyncrun.llms.openai import OpenAIChat
from asyncrun.llms.responses import (
    ChatResponse,
    CompletionResponse,
    R,
    Respond,
    answer_of,
    chat_response,
    completion_response,
    message_of,
    so_far,
)
from asyncrun.records import Answer
from asyncrun.short_help import ShortHelp

T = TypeVar("T")
Stream = tuple[Work[str | R], Callable[[str | R], R]]


class ChatModel(metaclass=ShortHelp):
    """LlamaIndex's methods over a chat model.

    Handlers of `callback_manager`, else of the manager that encloses the call, are told of each call: at its start the model and
    `EventPayload.MESSAGES` or `PROMPT`, at its end `RESPONSE` or `COMPLETION` with them, and the tokens.

    Args:
        llm: The model, such as an `OpenAIChat`.
        callback_manager: Whose handlers are told.

    >>> ChatModel(OpenAIChat(model="m", base_url="http://localhost:8080/v1")).model
    'm'

    All calls raise what is wrong with the endpoint (AuthError, OutageError, ...) and ItemError where a conversation has no answer.
    """

    def __init__(self, llm: Llm, *, callback_manager: CallbackManager | None = None) -> None:
        self.llm = llm
        self.callback_manager = callback_manager or CallbackManager()

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class."""
        return cls.__name__

    @property
    def model(self) -> str:
        """Return the model's name."""
        return self.llm.model_name

    async def achat(self, messages: Sequence[Any]) -> ChatResponse:
        """Return the answer to messages: `Message`s, LlamaIndex's, or mappings with `role` and `content`."""
        conversation = [message_of(message) for message in messages]
        ask = partial(self.llm.complete, conversation)
        return await self._told(ask, {EventPayload.MESSAGES: list(messages)}, EventPayload.RESPONSE, chat_response)

    async def acomplete(self, prompt: str) -> CompletionResponse:
        """Return the answer to a prompt, which the model's system words go before."""
        ask = partial(self.llm.complete, self.llm.messages(prompt))
        return await self._told(ask, {EventPayload.PROMPT: prompt}, EventPayload.COMPLETION, completion_response)

    def chat(self, messages: Sequence[Any]) -> ChatResponse:
        """Return the answer to messages, as `achat`, from code that is not asynchronous."""
        return self._run_here(self.achat(messages))

    def complete(self, prompt: str) -> CompletionResponse:
        """Return the answer to a prompt, as `acomplete`, from code that is not asynchronous."""
        return self._run_here(self.acomplete(prompt))

    async def astream_chat(self, messages: Sequence[Any]) -> AsyncGenerator[ChatResponse]:
        """Return what yields the answer to messages as it is written; the last response has its end, the tokens and an empty `delta`.

        Nothing is sent before the first step. What fails before the first word is sent again as elsewhere; after it ItemError says that
        the answer is not whole. A reader that stops early closes the connection: `aclose`, or the generator goes out of use.

        Raises ArgumentError for a model that does not stream.
        """
        return produced(*self._streamed_chat(messages))

    async def astream_complete(self, prompt: str) -> AsyncGenerator[CompletionResponse]:
        """Return what yields the answer to a prompt as it is written, see `astream_chat`."""
        return produced(*self._streamed_complete(prompt))

    def stream_chat(self, messages: Sequence[Any]) -> Generator[ChatResponse]:
        """Return what yields the answer to messages, as `astream_chat`, for code that is not asynchronous; a thread reads it."""
        return produced_in_thread(*self._streamed_chat(messages), leave=self.llm.aclose)

    def stream_complete(self, prompt: str) -> Generator[CompletionResponse]:
        """Return what yields the answer to a prompt, as `astream_complete`, for code that is not asynchronous; a thread reads it."""
        return produced_in_thread(*self._streamed_complete(prompt), leave=self.llm.aclose)

    async def aclose(self) -> None:
        """Close the connections of the running loop; the model opens them anew when it is used again."""
        await self.llm.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def _streamed_chat(self, messages: Sequence[Any]) -> Stream[ChatResponse]:
        conversation, asked = [message_of(message) for message in messages], {EventPayload.MESSAGES: list(messages)}
        return self._streamed(conversation, asked, EventPayload.RESPONSE, chat_response)

    def _streamed_complete(self, prompt: str) -> Stream[CompletionResponse]:
        return self._streamed(self.llm.messages(prompt), {EventPayload.PROMPT: prompt}, EventPayload.COMPLETION, completion_response)

    def _streamed(self, messages: Sequence[Message], asked: Mapping[Any, Any], word: EventPayload, respond: Respond[R]) -> Stream[R]:
        """Return the work that tells the words of an answer and then its response, and how they are shown."""
        llm = self.llm
        if not isinstance(llm, StreamingLlm):
            raise ArgumentError(f"{type(llm).__name__} does not stream", hint="Ask for the whole answer: `chat`, `complete`.")

        def ended(answer: Answer) -> R:
            return replace(respond(answer), delta="")

        async def work(tell: Callable[[str | R], object]) -> None:
            tell(await self._told(partial(llm.stream, messages, tell), asked, word, ended))

        return work, so_far(respond)

    async def _told(self, ask: Callable[[], Awaitable[Completion]], asked: Mapping[Any, Any], word: EventPayload, respond: Respond[R]) -> R:
        """Return the response to what is asked, and tell of the call where somebody listens."""
        manager = self.callback_manager if self.callback_manager.handlers else current_manager()
        if manager is None or not manager.handlers:
            return respond(answer_of(await ask()))
        about = {"class_name": self.class_name(), "model": self.model}
        with request_event(manager, CBEventType.LLM, about, {EventPayload.MODEL_NAME: self.model, **asked}) as event:
            answer = answer_of(await ask())
            response = respond(answer)
            tokens = {"tokens": answer.tokens, "input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
            event.on_end({**asked, word: response, **tokens, "finish_reason": answer.finish_reason})
        return response

    def _run_here(self, work: Coroutine[Any, Any, T]) -> T:
        return run_then_leave(work, self.llm.aclose)


class OpenAI(ChatModel):
    """Answers with OpenAI, or with any server that has its `/chat/completions`, by the names that LlamaIndex has for the arguments.

    Args:
        model: The name of the model.
        temperature: 0 to 2; None: what the model has by default.
        max_tokens: Most tokens of an answer.
        additional_kwargs: Merged into the request's JSON.
        max_retries: How often a request is sent again at most; None: five times.
        api_key: Default: the provider's own variable, at the provider's own address only.
        api_base: Default: the provider's.
        api_version: Of Azure's deployments.
        default_headers: Sent as they are.
        system_prompt: Words that stand before every prompt of `complete`.
        provider: Who is asked: see `OpenAIChat`.
        price: USD per million tokens.
        max_silence: Most seconds between two pieces of a streamed answer; None: `timeout` alone, which is for all of it.
        callback_manager: Whose handlers are told.
        options: `timeout`, `limits` and the others of `EndpointOptions`.

    >>> OpenAI("gpt-4o-mini", max_tokens=50).llm.max_output_tokens
    50
    """

    def __init__(
        self,
        model: str,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        additional_kwargs: Mapping[str, Any] | None = None,
        max_retries: int | None = None,
        api_key: str | None = None,
        api_base: str | None = None,
        api_version: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        system_prompt: str | None = None,
        provider: str = "openai",
        price: Price | None = None,
        max_silence: float | None = None,
        callback_manager: CallbackManager | None = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        endpoint = endpoint_options("OpenAI", "api_base", options, max_retries, default_headers)
        llm = OpenAIChat(
            model=model,
            provider=provider,
            api_key=api_key,
            base_url=api_base,
            temperature=temperature,
            max_output_tokens=max_tokens,
            system=system_prompt,
            price=price,
            api_version=api_version,
            max_silence=max_silence,
            extra_body=additional_kwargs,
            **endpoint,
        )
        super().__init__(llm, callback_manager=callback_manager)


def endpoint_options(
    name: str, address: str, options: EndpointOptions, max_retries: int | None, headers: Mapping[str, str] | None
) -> EndpointOptions:
    """Return the options of an endpoint, LlamaIndex's two among them. Raises ArgumentError for what the class does not take."""
    if unknown := options.keys() - EndpointOptions.__annotations__.keys():
        raise ArgumentError(f"{name} takes no {min(unknown)}", hint=f"The server's address is its {address}; see help({name}).")
    if max_retries is not None:
        options["retry"] = replace(options.get("retry") or RetryPolicy(stop_if_unreachable=True), attempts=max_retries + 1)
    return cast(EndpointOptions, {"headers": headers or {}, **options})
