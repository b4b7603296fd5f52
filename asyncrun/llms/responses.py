"""What programs are answered with, in the form of LlamaIndex: responses, whole or as far as a stream has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from asyncrun.errors import ItemError, Reason
from asyncrun.llms.interface import Completion, Declined, Message, Role
from asyncrun.records import Answer
from asyncrun.short_help import ShortHelp


@dataclass(frozen=True, slots=True)
class ChatResponse(metaclass=ShortHelp):
    """What a chat model has answered to messages; the tokens that the server has counted are in `additional_kwargs` and `raw`.

    Of a stream: the message so far, and in `delta` what has come to it; None where the answer came as a whole.

    >>> str(ChatResponse(Message("assistant", "Yes.")))
    'assistant: Yes.'
    """

    message: Message
    finish_reason: str | None = None
    additional_kwargs: Mapping[str, int] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)
    delta: str | None = None

    def __str__(self) -> str:
        return str(self.message)


@dataclass(frozen=True, slots=True)
class CompletionResponse(metaclass=ShortHelp):
    """What a chat model has answered to a prompt; the tokens that the server has counted are in `additional_kwargs` and `raw`.

    Of a stream: the text so far, and in `delta` what has come to it; None where the answer came as a whole.

    >>> str(CompletionResponse("Yes."))
    'Yes.'
    """

    text: str
    finish_reason: str | None = None
    additional_kwargs: Mapping[str, int] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)
    delta: str | None = None

    def __str__(self) -> str:
        return self.text


R = TypeVar("R", ChatResponse, CompletionResponse)
Respond = Callable[[Answer], R]
"""Puts an answer into the form of a response."""


def so_far(respond: Respond[R]) -> Callable[[str | R], R]:
    """Return what makes responses out of the words of a stream, each with all words so far; what is a response stays as it is.

    >>> show = so_far(completion_response)
    >>> [show(word).text for word in ("Yes", ", of course")]
    ['Yes', 'Yes, of course']
    """
    text = ""

    def show(told: str | R) -> R:
        nonlocal text
        if not isinstance(told, str):
            return told
        text += told
        return replace(respond(Answer(text, None)), delta=told, additional_kwargs={}, raw={})

    return show


def message_of(given: Any) -> Message:
    """Return a message of any form as ours: a mapping with `role` and `content`, or LlamaIndex's."""
    if isinstance(given, Message):
        return given
    role, content = (given["role"], given["content"]) if isinstance(given, Mapping) else (given.role, given.content)
    return Message(cast(Role, getattr(role, "value", role)), content or "")


def answer_of(completion: Completion) -> Answer:
    """Return the answer, or raise why there is none."""
    if completion.error is not None:
        raise completion.error
    answer = completion.answer
    if answer is None or isinstance(answer, Declined):
        words, reason = ("there is no answer", "refused") if answer is None else (answer.message, answer.reason)
        hint = "Ask again." if reason == Reason.SERVER_ERROR else "Change the messages, or ask another model."
        raise ItemError(words, reason=reason, hint=hint)
    return answer


def _tokens(answer: Answer) -> dict[str, int]:
    return {"prompt_tokens": answer.input_tokens, "completion_tokens": answer.output_tokens, "total_tokens": answer.tokens}


def chat_response(answer: Answer) -> ChatResponse:
    """Return an answer to messages."""
    tokens = _tokens(answer)
    return ChatResponse(Message("assistant", answer.text or ""), answer.finish_reason, tokens, {"usage": tokens})


def completion_response(answer: Answer) -> CompletionResponse:
    """Return an answer to a prompt."""
    tokens = _tokens(answer)
    return CompletionResponse(answer.text or "", answer.finish_reason, tokens, {"usage": tokens})
