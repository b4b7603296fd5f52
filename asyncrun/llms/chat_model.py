"""What programs call a chat model by: LlamaIndex's methods, with and without `await`; each call is an LLM event."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

from asyncrun.aio.retry import RetryPolicy
from asyncrun.callbacks.base import CallbackManager, current_manager
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.endpoints.endpoint import EndpointOptions
from asyncrun.errors import ItemError
from asyncrun.llms.interface import Completion, Declined, Llm, Message, Price, Role
from asyncrun.llms.openai import OpenAIChat
from asyncrun.records import Answer
from asyncrun.short_help import ShortHelp

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChatResponse(metaclass=ShortHelp):
    """What a chat model has answered to messages; the tokens that the server has counted are in `additional_kwargs` and `raw`.

    >>> str(ChatResponse(Message("assistant", "Yes.")))
    'assistant: Yes.'
    """

    message: Message
    finish_reason: str | None = None
    additional_kwargs: Mapping[str, int] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return str(self.message)


@dataclass(frozen=True, slots=True)
class CompletionResponse(metaclass=ShortHelp):
    """What a chat model has answered to a prompt; the tokens that the server has counted are in `additional_kwargs` and `raw`.

    >>> str(CompletionResponse("Yes."))
    'Yes.'
    """

    text: str
    finish_reason: str | None = None
    additional_kwargs: Mapping[str, int] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return self.text


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
        conversation = [_message(message) for message in messages]
        return await self._told(conversation, {EventPayload.MESSAGES: list(messages)}, EventPayload.RESPONSE, _chat_response)

    async def acomplete(self, prompt: str) -> CompletionResponse:
        """Return the answer to a prompt, which the model's system words go before."""
        return await self._told(self.llm.messages(prompt), {EventPayload.PROMPT: prompt}, EventPayload.COMPLETION, _completion_response)

    def chat(self, messages: Sequence[Any]) -> ChatResponse:
        """Return the answer to messages, as `achat`, from code that is not asynchronous."""
        return self._run_here(self.achat(messages))

    def complete(self, prompt: str) -> CompletionResponse:
        """Return the answer to a prompt, as `acomplete`, from code that is not asynchronous."""
        return self._run_here(self.acomplete(prompt))

    async def aclose(self) -> None:
        """Close the connections of the running loop; the model opens them anew when it is used again."""
        await self.llm.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def _told(self, messages: Sequence[Message], asked: Mapping[Any, Any], word: EventPayload, respond: Callable[[Answer], T]) -> T:
        """Return the response to messages, and tell of the call where somebody listens."""
        manager = self.callback_manager if self.callback_manager.handlers else current_manager()
        if manager is None or not manager.handlers:
            return respond(_answer(await self.llm.complete(messages)))
        about = {"class_name": self.class_name(), "model": self.model}
        started = {EventPayload.SERIALIZED: about, EventPayload.MODEL_NAME: self.model, **asked}
        # A manager of LlamaIndex has no word for what is below an event of this type.
        with manager.event(CBEventType.LLM, payload=started) as event, getattr(event, "enclosing", nullcontext)():
            answer = _answer(await self.llm.complete(messages))
            response = respond(answer)
            tokens = {"tokens": answer.tokens, "input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
            event.on_end({**asked, word: response, **tokens, "finish_reason": answer.finish_reason})
        return response

    def _run_here(self, work: Coroutine[Any, Any, T]) -> T:
        from asyncrun.aio.bridge import run_then_leave

        result: T = run_then_leave(work, self.llm.aclose)
        return result


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
        callback_manager: CallbackManager | None = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        if max_retries is not None:
            options["retry"] = replace(options.get("retry") or RetryPolicy(stop_if_unreachable=True), attempts=max_retries + 1)
        endpoint = cast(EndpointOptions, {"headers": default_headers or {}, **options})
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
            extra_body=additional_kwargs,
            **endpoint,
        )
        super().__init__(llm, callback_manager=callback_manager)


def _message(given: Any) -> Message:
    if isinstance(given, Message):
        return given
    role, content = (given["role"], given["content"]) if isinstance(given, Mapping) else (given.role, given.content)
    return Message(cast(Role, getattr(role, "value", role)), content or "")


def _answer(completion: Completion) -> Answer:
    """Return the answer, or raise why there is none."""
    if completion.error is not None:
        raise completion.error
    answer = completion.answer
    if answer is None or isinstance(answer, Declined):
        words, reason = ("there is no answer", "refused") if answer is None else (answer.message, answer.reason)
        raise ItemError(words, reason=reason, hint="Change the messages, or ask another model.")
    return answer


def _tokens(answer: Answer) -> dict[str, int]:
    return {"prompt_tokens": answer.input_tokens, "completion_tokens": answer.output_tokens, "total_tokens": answer.tokens}


def _chat_response(answer: Answer) -> ChatResponse:
    tokens = _tokens(answer)
    return ChatResponse(Message("assistant", answer.text or ""), answer.finish_reason, tokens, {"usage": tokens})


def _completion_response(answer: Answer) -> CompletionResponse:
    tokens = _tokens(answer)
    return CompletionResponse(answer.text or "", answer.finish_reason, tokens, {"usage": tokens})
